-- The view of trends has what they grew from, and the table of parity says whom it leaves out.

CREATE OR REPLACE VIEW top_trends AS
SELECT app_id, period, day, dimension, key, kind, rank, subject, score, confidence, events, people, before
FROM trends
ORDER BY app_id, period, day DESC, dimension, key, kind, rank
COMMENT 'Trends, newest first, best first; before: people of the period before. Filter by period, dimension, kind; key = '''' ranks the dimension itself.';

ALTER TABLE parity MODIFY COMMENT 'Tiles in which the speed and the batch layer differ, each with its causes. Not among them: tiles of people who do not consent to analytics; foryou parity counts those, too.';
