-- Rows can be updated where they lie: what an UPDATE changes stands beside the parts from the moment on at which it
-- ends (patch parts), and whoever reads sees it at once. Who withdraws a consent is taken out of rows that way.

ALTER TABLE events MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE events_planned MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE events_nightly MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE served MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE served_planned MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE served_nightly MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;

-- An engine that cannot do it must say so now, not when somebody withdraws.
UPDATE events_planned SET query = NULL WHERE 0;

CREATE TABLE IF NOT EXISTS withheld_staged AS withheld
COMMENT 'Whom the statement at hand takes out of rows that are not in a table yet; empty but for that moment.';
