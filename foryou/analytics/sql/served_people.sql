-- Whom the rows speak of.
SELECT DISTINCT app_id, user_key FROM {table:Identifier} WHERE user_key != ''
