-- What the speed layer knows of a day and the night could not: received at or after the cut-off, and not in batch.
INSERT INTO events_nightly
(
    event_id, app_id, event_type, user_key, device_key, session_id, seq, video_id, target_user_key, event_time,
    sent_at, received_at, impression_id, request_id, position, watch_ms, duration_ms, loops, text_length, query,
    startup_ms, rebuffer_ms, network, device_model, os, app_version, locale, region, consent, properties, time,
    category, creator_key, video_duration_ms, video_language, video_region, published_at, user_region,
    user_language, relation, relation_on, cancels_time, cancels_event_id, source_partition, source_offset,
    origin, as_of
)
SELECT
    event_id, app_id, event_type, user_key, device_key, session_id, seq, video_id, target_user_key, event_time,
    sent_at, received_at, impression_id, request_id, position, watch_ms, duration_ms, loops, text_length, query,
    startup_ms, rebuffer_ms, network, device_model, os, app_version, locale, region, consent, properties, time,
    category, creator_key, video_duration_ms, video_language, video_region, published_at, user_region,
    user_language, relation, relation_on, cancels_time, cancels_event_id, source_partition, source_offset,
    origin, as_of
FROM events
WHERE day = {day:Date} AND origin = 'speed'
  AND received_at >= fromUnixTimestamp64Milli({cut_off:Int64}, 'UTC')
  AND (app_id, event_id) NOT IN (SELECT app_id, event_id FROM events_nightly)
