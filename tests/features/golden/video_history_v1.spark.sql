SELECT
  `app_id`,
  `video_id`,
  `salt`,
  `tile_ms`,
  `tile_start`,
  CAST(1 AS BIGINT) AS `epoch`,
  COUNT(CASE WHEN `sign` = 1 THEN 1 END) AS `n`,
  MIN(CASE WHEN `sign` = 1 THEN `time` END) AS `first_ms`,
  MAX(CASE WHEN `sign` = 1 THEN `time` END) AS `last_ms`,
  COUNT(CASE WHEN `sign` = 1 AND `event_type` = 'play_start' THEN 1 END) AS `plays`,
  COUNT(CASE WHEN `sign` = 1 AND `event_type` = 'view_end' THEN 1 END) AS `views`,
  SUM(
    CASE
      WHEN `relation` = 'watch'
      THEN CAST(CASE
        WHEN `sign` = 1
        THEN CASE WHEN `relation_on` = 1 THEN COALESCE(`watch_ms`, 0) ELSE 0 END
        ELSE -COALESCE(`withdrawn_ms`, 0)
      END AS BIGINT)
      ELSE CAST(0 AS BIGINT)
    END
  ) AS `watch_ms`,
  COUNT(
    CASE
      WHEN `sign` = 1
      AND (
        `event_type` = 'view_end'
        AND `watch_ms` * 100 >= COALESCE(`duration_ms`, `video_duration_ms`) * 95
      )
      THEN 1
    END
  ) AS `finishes`,
  COUNT(
    CASE
      WHEN `sign` = 1
      AND (
        `event_type` = 'view_end'
        AND COALESCE(`watch_ms`, 2000) < 2000
        AND COALESCE(`duration_ms`, `video_duration_ms`, 2001) > 2000
      )
      THEN 1
    END
  ) AS `skips`,
  SUM(
    CASE
      WHEN `relation` = 'like'
      THEN CAST(CASE WHEN `sign` = 1 THEN COALESCE(`relation_on`, 0) ELSE -1 END AS BIGINT)
      ELSE CAST(0 AS BIGINT)
    END
  ) AS `likes`,
  SUM(
    CASE
      WHEN `relation` = 'share'
      THEN CAST(CASE WHEN `sign` = 1 THEN COALESCE(`relation_on`, 0) ELSE -1 END AS BIGINT)
      ELSE CAST(0 AS BIGINT)
    END
  ) AS `shares`
FROM (
  SELECT
    *,
    -1 AS `salt`,
    CAST(86400000 AS BIGINT) AS `tile_ms`,
    `tile_time` - `tile_time` % CAST(86400000 AS BIGINT) AS `tile_start`
  FROM `contributions`
  WHERE
    NOT `video_id` IS NULL
) AS `rows_in_tiles`
GROUP BY
  `app_id`,
  `video_id`,
  `salt`,
  `tile_ms`,
  `tile_start`
