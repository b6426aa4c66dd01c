-- A day of feeds as the lake has it, one row per place.
INSERT INTO served_nightly
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
    'batch' AS origin,
    now64(3, 'UTC') AS as_of
FROM served_read AS r
ARRAY JOIN items
