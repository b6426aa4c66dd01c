-- The blender: what is known of the event's video and person at the moment of its admission.
--
-- No watermark is waited for: profile changes and events run through one stream per key, in order of arrival, and every
-- event takes the last values before it. A hot video's key is split :salts ways by the event's id; a profile goes to all.
-- The state of this part has no time to live: a video that nobody watched for a month keeps its category.
-- :verdict stands for the columns of verdicts, :no_verdict for as many nulls of their types.

-- view: video_events
SELECT :verdict, PROCTIME() AS arrival, app_id AS k_app, video_id AS k_video, ABS(MOD(HASH_CODE(event_id), :salts)) AS k_salt,
       CAST(NULL AS STRING) AS p_category, CAST(NULL AS STRING) AS p_creator_key,
       CAST(NULL AS BIGINT) AS p_duration_ms, CAST(NULL AS STRING) AS p_language,
       CAST(NULL AS STRING) AS p_region, CAST(NULL AS BIGINT) AS p_published_at
FROM judged
WHERE verdict = 'clean' AND video_id IS NOT NULL
UNION ALL
SELECT :no_verdict, PROCTIME(), app_id, video_id, salt, category, creator_key, duration_ms, `language`, region,
       CASE WHEN event_type = 'video_published' THEN COALESCE(published_at, event_time) ELSE published_at END
FROM (SELECT *, ABS(MOD(HASH_CODE(video_id), :salts)) AS h FROM `events.content.v1`)
     -- All salts, from h round to h: an array of mere constants would be planned as a stateful join on one task.
     CROSS JOIN UNNEST(ARRAY[:salts_from_h]) AS salts (salt);

-- view: with_video
SELECT :verdict, category, creator_key, video_duration_ms, video_language, video_region, published_at
FROM (
  SELECT *,
         LAST_VALUE(p_category) OVER w AS category,
         LAST_VALUE(p_creator_key) OVER w AS creator_key,
         LAST_VALUE(p_duration_ms) OVER w AS video_duration_ms,
         LAST_VALUE(p_language) OVER w AS video_language,
         LAST_VALUE(p_region) OVER w AS video_region,
         LAST_VALUE(p_published_at) OVER w AS published_at
  FROM video_events
  WINDOW w AS (PARTITION BY k_app, k_video, k_salt ORDER BY arrival)
)
WHERE event_id IS NOT NULL
UNION ALL
SELECT :verdict, CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS BIGINT), CAST(NULL AS STRING),
       CAST(NULL AS STRING), CAST(NULL AS BIGINT)
FROM judged
WHERE verdict = 'clean' AND video_id IS NULL;

-- view: person_events
SELECT :verdict, category, creator_key, video_duration_ms, video_language, video_region, published_at,
       PROCTIME() AS arrival, app_id AS k_app, user_key AS k_user, CAST(NULL AS STRING) AS p_region, CAST(NULL AS STRING) AS p_language
FROM with_video
UNION ALL
SELECT :no_verdict, CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS BIGINT), CAST(NULL AS STRING),
       CAST(NULL AS STRING), CAST(NULL AS BIGINT), PROCTIME(), app_id, user_key, region, `language`
FROM `events.account.v1`;

-- view: blended
SELECT :verdict, category, creator_key, video_duration_ms, video_language, video_region, published_at,
       user_region, user_language
FROM (
  SELECT *, LAST_VALUE(p_region) OVER w AS user_region, LAST_VALUE(p_language) OVER w AS user_language
  FROM person_events
  WINDOW w AS (PARTITION BY k_app, k_user ORDER BY arrival)
)
WHERE event_id IS NOT NULL;
