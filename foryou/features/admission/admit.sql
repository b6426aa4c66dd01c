-- Admission: of the events that the collector accepted, which are the first of their id, which came too late, and what
-- they say about a relation or a play's watch time.
--
-- Every statement is insert-only (no updates), which is why it is translated before mini-batch is switched on. Arrival is
-- the order of a partition; all of a person's events share one, so a replay gives the same verdicts, but for two words on
-- one relation that change places on their way between operators, of which one is just within the bound (docs/adr/0002).
-- :lateness_ms is how late an event may be.

-- view: accepted
SELECT *,
       LEAST(event_time, received_at) AS `time`,
       received_at - event_time > :lateness_ms AS is_late,
       PROCTIME() AS arrival
FROM (SELECT * FROM `events.action.v1` UNION ALL SELECT * FROM `events.context.v1`);

-- view: counted
-- The n-th copy of an event id. ROW_NUMBER() = 1 would be lighter, but swallows the copies that the ledger must count.
SELECT *, COUNT(*) OVER (PARTITION BY app_id, event_id ORDER BY arrival) AS copy
FROM accepted
WHERE NOT is_late;

-- view: worded
-- What an event says about a state, as a word that sorts by (time, event_id): the largest word is the newest. Watch time is
-- such a state of an impression and its video; its words sort by (watch_ms, time, event_id), so that the largest is the
-- most that was watched. The door takes a day of it at most, which is 8 digits. A state that was saved holds such words:
-- whoever changes them makes every saved word larger or smaller than the new ones.
SELECT *,
       CONCAT(CASE WHEN relation = 'watch' THEN LPAD(CAST(COALESCE(watch_ms, 0) AS STRING), 8, '0') ELSE '' END,
              LPAD(CAST(`time` AS STRING), 14, '0'), event_id, CASE WHEN switches_on THEN '+' ELSE '-' END) AS word
FROM (
  SELECT *,
         CASE
           WHEN event_type IN ('like', 'unlike') THEN 'like'
           WHEN event_type IN ('share', 'unshare') THEN 'share'
           WHEN event_type IN ('follow', 'unfollow') THEN 'follow'
           WHEN event_type IN ('block', 'unblock') THEN 'block'
           WHEN event_type IN ('hide_creator', 'unhide_creator') THEN 'hide_creator'
           WHEN event_type = 'not_interested' THEN 'not_interested'
           WHEN event_type IN ('play_progress', 'view_end') THEN 'watch'
         END AS relation,
         event_type IN ('like', 'share', 'follow', 'block', 'hide_creator', 'not_interested',
                        'play_progress', 'view_end') AS switches_on,
         CASE
           WHEN event_type IN ('like', 'unlike', 'share', 'unshare', 'not_interested') THEN video_id
           WHEN event_type IN ('play_progress', 'view_end')
                THEN CASE WHEN watch_ms IS NOT NULL THEN CONCAT(impression_id, '|', video_id) END
           ELSE target_user_key
         END AS object
  FROM counted
  WHERE copy = 1
);

-- view: related
-- The newest word on the state, after and before this event. Events that say nothing of one do not come here.
SELECT *, LAG(newest) OVER (PARTITION BY app_id, user_key, relation, object ORDER BY arrival) AS previous
FROM (
  SELECT *, MAX(word) OVER (PARTITION BY app_id, user_key, relation, object ORDER BY arrival) AS newest
  FROM worded
  WHERE relation IS NOT NULL AND object IS NOT NULL
);

-- view: clean
-- An event that is not the newest word changes nothing. One that is withdraws the 'on' before it, if that is not too old
-- for the tile it was counted in. A view_end that names no impression is all there is of its play; a heartbeat that names
-- none could be part of anything, and counts nothing.
SELECT *,
       word = newest AND relation <> 'watch' AS is_newest,
       CASE
         WHEN word = newest AND switches_on THEN 1
         WHEN newest IS NOT NULL THEN 0
         WHEN event_type = 'view_end' THEN 1
       END AS relation_on,
       CASE WHEN withdraws THEN CAST(SUBSTRING(said FROM 1 FOR 14) AS BIGINT) END AS cancels_time,
       CASE WHEN withdraws THEN SUBSTRING(said FROM 15 FOR CHAR_LENGTH(said) - 15) END AS cancels_event_id,
       CASE WHEN withdraws AND relation = 'watch' THEN CAST(SUBSTRING(previous FROM 1 FOR 8) AS BIGINT) END AS cancels_watch_ms
FROM (
  SELECT *,
         word = newest AND RIGHT(said, 1) = '+'
           AND received_at - CAST(SUBSTRING(said FROM 1 FOR 14) AS BIGINT) <= :lateness_ms AS withdraws
  FROM (
    SELECT *, CASE WHEN relation = 'watch' THEN SUBSTRING(previous FROM 9) ELSE previous END AS said FROM related
    UNION ALL
    SELECT *, CAST(NULL AS STRING) AS newest, CAST(NULL AS STRING) AS previous, CAST(NULL AS STRING) AS said
    FROM worded
    WHERE relation IS NULL OR object IS NULL
  )
);

-- view: verdicts
-- Every accepted event once. nth, the running number within the person's minute, bounds what a tile collects.
SELECT :event, source_partition, source_offset, `time`,
       'clean' AS verdict, relation, object, is_newest, switches_on, relation_on, cancels_time,
       cancels_event_id, cancels_watch_ms,
       COUNT(*) OVER (PARTITION BY app_id, user_key, `time` - MOD(`time`, 60000) ORDER BY arrival) AS nth
FROM clean
UNION ALL
SELECT :event, source_partition, source_offset, `time`, 'duplicate', CAST(NULL AS STRING),
       CAST(NULL AS STRING), FALSE, FALSE, CAST(NULL AS INT), CAST(NULL AS BIGINT),
       CAST(NULL AS STRING), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
FROM counted
WHERE copy > 1
UNION ALL
SELECT :event, source_partition, source_offset, `time`, 'late', CAST(NULL AS STRING),
       CAST(NULL AS STRING), FALSE, FALSE, CAST(NULL AS INT), CAST(NULL AS BIGINT),
       CAST(NULL AS STRING), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
FROM accepted
WHERE is_late;
