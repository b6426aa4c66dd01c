-- Places of pages without the person they were made for, and without what they were scored on.
ALTER TABLE {table:Identifier} UPDATE user_key = '', impression_id = '', features = map()
WHERE (app_id, user_key) IN (SELECT app_id, user_key FROM withheld)
