SELECT
  `app_id`,
  `user_key`,
  `salt`,
  `tile_ms`,
  `tile_start`,
  CAST(1 AS BIGINT) AS `epoch`,
  COUNT(CASE WHEN `sign` = 1 THEN 1 END) AS `n`,
  MIN(CASE WHEN `sign` = 1 THEN `time` END) AS `first_ms`,
  MAX(CASE WHEN `sign` = 1 THEN `time` END) AS `last_ms`,
  COUNT(
    CASE
      WHEN `sign` = 1
      AND (
        `event_type` = 'view_end'
        AND NOT (
          COALESCE(`watch_ms`, 2000) < 2000
          AND COALESCE(`duration_ms`, `video_duration_ms`, 2001) > 2000
        )
      )
      THEN 1
    END
  ) AS `watched`,
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
      WHEN `relation` = 'watch'
      THEN CAST(CASE
        WHEN `sign` = 1
        THEN CASE WHEN `relation_on` = 1 THEN COALESCE(`watch_ms`, 0) ELSE 0 END
        ELSE -COALESCE(`withdrawn_ms`, 0)
      END AS BIGINT)
      ELSE CAST(0 AS BIGINT)
    END
  ) AS `watch_ms`,
  SUM(
    CASE
      WHEN `relation` = 'like'
      THEN CAST(CASE WHEN `sign` = 1 THEN COALESCE(`relation_on`, 0) ELSE -1 END AS BIGINT)
      ELSE CAST(0 AS BIGINT)
    END
  ) AS `likes`,
  MAX(
    CASE
      WHEN `sign` = 1
      AND `event_type` IN ('like', 'comment', 'share', 'duet', 'stitch', 'follow')
      THEN `time`
    END
  ) AS `engaged`,
  ARRAY_AGG(
    CASE
      WHEN (
        `sign` = 1
        AND (
          NOT `video_id` IS NULL
          AND `event_type` IN ('view_end', 'like', 'comment', 'share', 'duet', 'stitch', 'not_interested')
        )
      )
      AND `nth` <= 64
      THEN CAST(ROW(
        `time`,
        `event_type`,
        `video_id`,
        `category`,
        `creator_key`,
        `watch_ms`,
        `duration_ms`,
        CASE
          WHEN `event_type` = 'view_end'
          AND NOT (
            COALESCE(`watch_ms`, 2000) < 2000
            AND COALESCE(`duration_ms`, `video_duration_ms`, 2001) > 2000
          )
          THEN 1
          ELSE 0
        END,
        CASE
          WHEN `event_type` = 'view_end'
          AND COALESCE(`watch_ms`, 2000) < 2000
          AND COALESCE(`duration_ms`, `video_duration_ms`, 2001) > 2000
          THEN 1
          ELSE 0
        END
      ) AS ROW<`time` BIGINT NOT NULL, `event_type` STRING NOT NULL, `video_id` STRING, `category` STRING, `creator_key` STRING, `watch_ms` BIGINT, `duration_ms` BIGINT, `watched` INT NOT NULL, `skipped` INT NOT NULL>)
    END
  ) IGNORE NULLS AS `actions`
FROM (
  SELECT
    *,
    ABS(MOD(HASH_CODE(`salted_by`), 1)) AS `salt`,
    CAST(60000 AS BIGINT) + ABS(MOD(HASH_CODE(`event_id`), 1)) AS `tile_ms`,
    `tile_time` - MOD(`tile_time`, CAST(60000 AS BIGINT)) AS `tile_start`
  FROM `contributions`
  WHERE
    NOT `event_type` IN ('network_change', 'location_change', 'playback_error')
) AS `rows_in_tiles`
GROUP BY
  `app_id`,
  `user_key`,
  `salt`,
  `tile_ms`,
  `tile_start`
