-- Whom the rows speak of.
SELECT DISTINCT app_id, user_key FROM {table:Identifier} WHERE user_key != ''
UNION DISTINCT
SELECT app_id, assumeNotNull(target_user_key) FROM {table:Identifier} WHERE target_user_key IS NOT NULL
