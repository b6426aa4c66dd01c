-- Rows without their person: the keys, what links two rows of one person or a row to a page that was served, and words.
-- What is left is of groups: type, times, video, region, network, and the offset that the ledger goes by.
ALTER TABLE {table:Identifier} UPDATE
    user_key = '', device_key = NULL, session_id = NULL, seq = NULL, impression_id = NULL, request_id = NULL,
    query = NULL, device_model = NULL, locale = NULL, properties = map(), cancels_time = NULL, cancels_event_id = NULL
WHERE (app_id, user_key) IN (SELECT app_id, user_key FROM withheld);
-- Whom others acted on.
ALTER TABLE {table:Identifier} UPDATE target_user_key = NULL
WHERE (app_id, ifNull(target_user_key, '')) IN (SELECT app_id, user_key FROM withheld)
