-- What the speed layer knows of a day and the night could not.
INSERT INTO served_nightly
(
    app_id, request_id, user_key, served_at, features_at, fallback, model_version, variant, impression_id, video_id,
    position, creator_key, category, source, score, features, origin, as_of
)
SELECT
    app_id, request_id, user_key, served_at, features_at, fallback, model_version, variant, impression_id, video_id,
    position, creator_key, category, source, score, features, origin, as_of
FROM served
WHERE day = {day:Date} AND origin = 'speed'
  AND served_at >= fromUnixTimestamp64Milli({cut_off:Int64}, 'UTC')
  AND (app_id, request_id) NOT IN (SELECT app_id, request_id FROM served_nightly)
