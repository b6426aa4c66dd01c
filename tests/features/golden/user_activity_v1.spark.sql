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
  SORT_ARRAY(
    COLLECT_LIST(
      CASE
        WHEN (
          `sign` = 1
          AND (
            NOT `video_id` IS NULL
            AND `event_type` IN ('view_end', 'like', 'comment', 'share', 'duet', 'stitch', 'not_interested')
          )
        )
        AND `nth` <= 64
        THEN CAST(NAMED_STRUCT(
          'time',
          `time`,
          'event_type',
          `event_type`,
          'video_id',
          `video_id`,
          'category',
          `category`,
          'creator_key',
          `creator_key`,
          'watch_ms',
          `watch_ms`,
          'duration_ms',
          `duration_ms`,
          'watched',
          CASE
            WHEN `event_type` = 'view_end'
            AND NOT (
              COALESCE(`watch_ms`, 2000) < 2000
              AND COALESCE(`duration_ms`, `video_duration_ms`, 2001) > 2000
            )
            THEN 1
            ELSE 0
          END,
          'skipped',
          CASE
            WHEN `event_type` = 'view_end'
            AND COALESCE(`watch_ms`, 2000) < 2000
            AND COALESCE(`duration_ms`, `video_duration_ms`, 2001) > 2000
            THEN 1
            ELSE 0
          END
        ) AS STRUCT<`time`: BIGINT, `event_type`: STRING, `video_id`: STRING, `category`: STRING, `creator_key`: STRING, `watch_ms`: BIGINT, `duration_ms`: BIGINT, `watched`: INT, `skipped`: INT>)
      END
    )
  ) AS `actions`
FROM (
  SELECT
    *,
    -1 AS `salt`,
    CAST(60000 AS BIGINT) AS `tile_ms`,
    `tile_time` - `tile_time` % CAST(60000 AS BIGINT) AS `tile_start`
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
