-- The rows that the records at hand add: no copies among them, none of what is there already, and of a day that the
-- night has replaced only what was received at or after its cut-off. Copies are looked for a day around the records'
-- own days: a copy has the time of its original, or differs by less than the clamp and the lateness bound.
INSERT INTO events_planned
(
    event_id, app_id, event_type, user_key, device_key, session_id, seq, video_id, target_user_key, event_time,
    sent_at, received_at, impression_id, request_id, position, watch_ms, duration_ms, loops, text_length, query,
    startup_ms, rebuffer_ms, network, device_model, os, app_version, locale, region, consent, properties, time,
    category, creator_key, video_duration_ms, video_language, video_region, published_at, user_region,
    user_language, relation, relation_on, cancels_time, cancels_event_id, source_partition, source_offset,
    origin, as_of
)
SELECT
    r.event_id,
    r.app_id,
    r.event_type,
    r.user_key,
    r.device_key,
    r.session_id,
    r.seq,
    r.video_id,
    r.target_user_key,
    fromUnixTimestamp64Milli(r.event_time, 'UTC') AS event_time,
    fromUnixTimestamp64Milli(r.sent_at, 'UTC') AS sent_at,
    fromUnixTimestamp64Milli(r.received_at, 'UTC') AS received_at,
    r.impression_id,
    r.request_id,
    r.position,
    r.watch_ms,
    r.duration_ms,
    r.loops,
    r.text_length,
    r.query,
    r.startup_ms,
    r.rebuffer_ms,
    r.network,
    r.device_model,
    r.os,
    r.app_version,
    r.locale,
    r.region,
    r.consent,
    r.properties,
    fromUnixTimestamp64Milli(coalesce(r.time, least(r.event_time, r.received_at)), 'UTC') AS time,
    r.category,
    r.creator_key,
    r.video_duration_ms,
    r.video_language,
    r.video_region,
    fromUnixTimestamp64Milli(r.published_at, 'UTC') AS published_at,
    r.user_region,
    r.user_language,
    r.relation,
    r.relation_on,
    fromUnixTimestamp64Milli(r.cancels_time, 'UTC') AS cancels_time,
    r.cancels_event_id,
    r.source_partition,
    r.source_offset,
    'speed' AS origin,
    now64(3, 'UTC') AS as_of
FROM events_read AS r
LEFT JOIN
(
    SELECT day, max(cut_off) AS cut_off FROM replaced WHERE table = 'events' GROUP BY day
) AS done ON done.day = toDate(fromUnixTimestamp64Milli(coalesce(r.time, least(r.event_time, r.received_at)), 'UTC'))
WHERE fromUnixTimestamp64Milli(r.received_at, 'UTC') >= done.cut_off
  AND (r.app_id, r.event_id) NOT IN
  (
    SELECT app_id, event_id FROM events
    WHERE day >= (SELECT toDate(fromUnixTimestamp64Milli(min(coalesce(time, least(event_time, received_at))), 'UTC')) - 1 FROM events_read)
      AND day <= (SELECT toDate(fromUnixTimestamp64Milli(max(coalesce(time, least(event_time, received_at))), 'UTC')) + 1 FROM events_read)
      AND id_hash IN (SELECT sipHash64(app_id, event_id) FROM events_read)
  )
ORDER BY r.source_partition, r.source_offset
LIMIT 1 BY r.app_id, r.event_id
