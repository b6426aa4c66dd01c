-- The places of feeds that the records at hand add: no copies, and of a replaced day only what is after its cut-off.
INSERT INTO served_planned
(
    app_id, request_id, user_key, served_at, features_at, fallback, model_version, variant, impression_id, video_id,
    position, creator_key, category, source, score, features, origin, as_of
)
SELECT
    r.app_id, r.request_id, r.user_key,
    fromUnixTimestamp64Milli(r.served_at, 'UTC') AS served_at,
    fromUnixTimestamp64Milli(r.features_at, 'UTC') AS features_at,
    r.fallback, r.model_version, r.variant,
    items.impression_id, items.video_id, items.position, items.creator_key, items.category, items.source, items.score,
    items.features,
    'speed' AS origin,
    now64(3, 'UTC') AS as_of
FROM
(
    SELECT * FROM served_read
    WHERE (app_id, request_id) NOT IN
    (
        SELECT app_id, request_id FROM served
        WHERE day >= (SELECT toDate(fromUnixTimestamp64Milli(min(served_at), 'UTC')) FROM served_read)
          AND day <= (SELECT toDate(fromUnixTimestamp64Milli(max(served_at), 'UTC')) FROM served_read)
          AND id_hash IN (SELECT sipHash64(app_id, request_id) FROM served_read)
    )
    LIMIT 1 BY app_id, request_id
) AS r
ARRAY JOIN items
LEFT JOIN
(
    SELECT day, max(cut_off) AS cut_off FROM replaced WHERE table = 'served' GROUP BY day
) AS done ON done.day = toDate(fromUnixTimestamp64Milli(r.served_at, 'UTC'))
WHERE fromUnixTimestamp64Milli(r.served_at, 'UTC') >= done.cut_off
