-- Places of pages without the person they were made for, and without what they were scored on.
UPDATE {table:Identifier} SET user_key = '', impression_id = '', features = map()
WHERE user_key IN (SELECT user_key FROM {people:Identifier}) AND (app_id, user_key) IN (SELECT app_id, user_key FROM {people:Identifier})
