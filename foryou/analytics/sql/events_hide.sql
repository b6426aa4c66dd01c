-- Rows without their person: the keys, what links two rows of one person or a row to a page that was served, and words.
-- What is left is of groups: type, times, video, region, network, and the offset that the ledger goes by.
-- (The key alone is asked for first: of a pair each row would be put together, which takes twice as long.)
UPDATE {table:Identifier} SET
    user_key = '', device_key = NULL, session_id = NULL, seq = NULL, impression_id = NULL, request_id = NULL,
    query = NULL, device_model = NULL, locale = NULL, properties = map(), cancels_time = NULL, cancels_event_id = NULL
WHERE user_key IN (SELECT user_key FROM {people:Identifier}) AND (app_id, user_key) IN (SELECT app_id, user_key FROM {people:Identifier});
-- Whom others acted on.
UPDATE {table:Identifier} SET target_user_key = NULL
WHERE target_user_key IN (SELECT user_key FROM {people:Identifier})
  AND (app_id, assumeNotNull(target_user_key)) IN (SELECT app_id, user_key FROM {people:Identifier})
