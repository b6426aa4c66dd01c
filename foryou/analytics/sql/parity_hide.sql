-- Differences in tiles of these people. They are no term of any equation here; the lake keeps them.
ALTER TABLE {table:Identifier} DELETE WHERE (app_id, entity) IN (SELECT app_id, user_key FROM {people:Identifier})
