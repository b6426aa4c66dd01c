-- The planned places, into the log.
INSERT INTO served
(
    app_id, request_id, user_key, served_at, features_at, fallback, model_version, variant, impression_id, video_id,
    position, creator_key, category, source, score, features, origin, as_of
)
SELECT
    app_id, request_id, user_key, served_at, features_at, fallback, model_version, variant, impression_id, video_id,
    position, creator_key, category, source, score, features, origin, as_of
FROM served_planned
