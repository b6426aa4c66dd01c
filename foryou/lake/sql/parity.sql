-- Which events the two layers count in another way, and why. One row per event and per reason that has evidence.
--
-- Reads `truth` (clean rows of the days, with their lane), `verdicts` (events.clean as the topic holds it, with lane,
-- judged_at, judged_offset), `apart` (events.duplicate and events.late: verdict, lane and place), `silver_events` and
-- `words` (from the first day on), `content`, `taken` (how far bronze is: topic, partition, offset).
--
-- :from and :to are the first and the last ms of the days. :used are the columns of the blend that any view reads,
-- :facets those that tiles are keyed by; :keep is how many events of a person's minute a list may hold; :bound is the
-- lateness bound; :in_flight is how far apart two topics may be read.

-- view: once
-- Clean verdicts, one per place. What a restored job says again of the same record replaces what it said before.
SELECT *
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY app_id, event_id, lane, source_partition, source_offset
                               ORDER BY judged_at DESC, judged_offset DESC) AS newest
  FROM verdicts
)
WHERE newest = 1;

-- view: counted
SELECT *,
       CAST(ROW_NUMBER() OVER (PARTITION BY app_id, user_key, `time` DIV 60000
                               ORDER BY lane, source_partition, source_offset) AS BIGINT) AS nth
FROM once
WHERE `time` BETWEEN :from AND :to OR cancels_time BETWEEN :from AND :to;

-- view: speed_events
SELECT app_id, event_id, COUNT(*) AS copies,
       MIN(STRUCT(lane, source_partition, source_offset)) AS place,
       MAX(`time`) AS `time`, MAX(STRUCT(:used)) AS blend, SUM(COALESCE(relation_on, 0)) AS relation_on, MAX(nth) AS nth,
       MAX(user_key) AS user_key, MAX(video_id) AS video_id, MAX(received_at) AS received_at
FROM counted
WHERE `time` BETWEEN :from AND :to
GROUP BY app_id, event_id;

-- view: withdrawals
SELECT v.app_id, v.cancels_event_id AS event_id, COUNT(*) AS times,
       MIN(STRUCT(:facets)) AS least, MAX(STRUCT(:facets)) AS most,
       MAX(v.source_offset > COALESCE(t.`offset`, -1)) AS beyond_bronze
FROM counted AS v
LEFT JOIN taken AS t ON t.topic = v.lane AND t.`partition` = v.source_partition
WHERE v.cancels_time BETWEEN :from AND :to
GROUP BY v.app_id, v.cancels_event_id;

-- view: pairs
-- Events that do not add the same to tiles in both layers.
SELECT *
FROM (
  SELECT COALESCE(t.app_id, v.app_id) AS app_id, COALESCE(t.event_id, v.event_id) AS event_id,
         COALESCE(t.user_key, v.user_key) AS user_key, COALESCE(t.video_id, v.video_id) AS video_id,
         COALESCE(t.`time`, v.`time`) AS `time`, COALESCE(t.received_at, v.received_at) AS received_at,
         t.event_id IS NOT NULL AS in_batch, COALESCE(v.copies, 0) AS copies, v.place,
         COALESCE(t.relation_on, 0) AS batch_on, v.relation_on - COALESCE(w.times, 0) AS speed_on,
         COALESCE(w.beyond_bronze, FALSE) AS withdrawn_beyond_bronze,
         t.`time` <> v.`time` OR NOT STRUCT(:used_t) <=> v.blend
           OR (w.times > 0 AND NOT (w.least <=> STRUCT(:facets_t) AND w.most <=> STRUCT(:facets_t))) AS blend_differs,
         NOT STRUCT(t.lane, t.source_partition, t.source_offset) <=> v.place AS place_differs,
         (t.nth <= :keep) <> (v.nth <= :keep) AS cut_differs
  FROM truth AS t
  FULL OUTER JOIN speed_events AS v ON v.app_id = t.app_id AND v.event_id = t.event_id
  LEFT JOIN withdrawals AS w ON w.app_id = COALESCE(t.app_id, v.app_id) AND w.event_id = COALESCE(t.event_id, v.event_id)
)
WHERE NOT in_batch OR copies <> 1 OR batch_on <> speed_on OR blend_differs OR place_differs OR cut_differs;

-- view: turned
-- Of them, words on a relation or a play that stand in one layer only.
SELECT p.app_id, p.event_id, p.user_key, p.`time`, p.batch_on, p.speed_on, p.withdrawn_beyond_bronze, w.relation, w.object,
       w.weight
FROM pairs AS p
JOIN words AS w ON w.app_id = p.app_id AND w.event_id = p.event_id
WHERE p.in_batch AND p.copies = 1 AND p.batch_on <> p.speed_on;

-- view: newer
-- The newest word on such a relation, and the first to arrive of those that the speed layer heard.
SELECT t.app_id, t.event_id, t.`time`, t.batch_on, t.speed_on, t.withdrawn_beyond_bronze,
       MAX(CASE WHEN w.event_id IS NOT NULL THEN STRUCT(w.weight, w.`time`, w.event_id, o.event_id IS NOT NULL AS heard) END) AS newest,
       MIN(CASE WHEN o.event_id IS NOT NULL THEN STRUCT(o.source_offset, o.received_at) END) AS first_heard
FROM turned AS t
LEFT JOIN words AS w
  ON w.app_id = t.app_id AND w.user_key = t.user_key AND w.relation = t.relation AND w.object = t.object
     AND STRUCT(w.weight, w.`time`, w.event_id) > STRUCT(t.weight, t.`time`, t.event_id)
LEFT JOIN (SELECT * FROM once WHERE relation IS NOT NULL) AS o ON o.app_id = w.app_id AND o.event_id = w.event_id
GROUP BY t.app_id, t.event_id, t.`time`, t.batch_on, t.speed_on, t.withdrawn_beyond_bronze;

-- view: reached
-- How far the speed layer has judged.
SELECT lane, source_partition, MAX(source_offset) AS source_offset
FROM (
  SELECT lane, source_partition, source_offset FROM once
  UNION ALL
  SELECT lane, source_partition, source_offset FROM apart
)
GROUP BY lane, source_partition;

-- view: states
-- Why the speed layer did not count an event of silver.
SELECT e.app_id, e.event_id,
       CASE
         WHEN e.origin = 'import' THEN 'imported'
         WHEN e.late OR a.late THEN 'late'
         WHEN a.late = FALSE THEN 'unknown' -- judged a copy, but of what?
         WHEN r.source_offset IS NULL OR e.source_offset > r.source_offset THEN 'lag'
         ELSE 'dropped'
       END AS state
FROM (
  SELECT app_id, event_id FROM pairs WHERE copies = 0
  UNION
  SELECT app_id, newest.event_id FROM newer WHERE NOT newest.heard
) AS i
JOIN silver_events AS e ON e.app_id = i.app_id AND e.event_id = i.event_id
LEFT JOIN reached AS r ON r.lane = e.topic AND r.source_partition = e.source_partition
LEFT JOIN (
  SELECT lane, source_partition, source_offset, MAX(verdict = 'late') AS late FROM apart GROUP BY lane, source_partition, source_offset
) AS a ON a.lane = e.topic AND a.source_partition = e.source_partition AND a.source_offset = e.source_offset;

-- view: worded
SELECT n.app_id, n.event_id,
       CASE
         WHEN n.speed_on > n.batch_on AND NOT n.newest.heard THEN s.state
         WHEN n.speed_on > n.batch_on AND n.first_heard.received_at - n.`time` > :bound THEN 'expired'
         WHEN n.speed_on < n.batch_on AND n.withdrawn_beyond_bronze THEN 'lag'
         ELSE 'unknown'
       END AS word
FROM newer AS n
LEFT JOIN states AS s ON s.app_id = n.app_id AND s.event_id = n.newest.event_id;

-- view: owned
SELECT p.*,
       CASE
         WHEN p.copies = 0 THEN COALESCE(s.state, 'unknown')
         WHEN NOT p.in_batch THEN CASE WHEN p.place.source_offset > COALESCE(t.`offset`, -1) THEN 'lag' ELSE 'unknown' END
         WHEN p.copies > 1 THEN 'duplicate'
         WHEN p.blend_differs THEN CASE WHEN c.changed_at > p.received_at - :in_flight THEN 'lag' ELSE 'unknown' END
         WHEN p.place_differs THEN 'dropped'
       END AS own
FROM pairs AS p
LEFT JOIN states AS s ON s.app_id = p.app_id AND s.event_id = p.event_id
LEFT JOIN taken AS t ON t.topic = p.place.lane AND t.`partition` = p.place.source_partition
LEFT JOIN (SELECT app_id, video_id, MAX(received_at) AS changed_at FROM content GROUP BY app_id, video_id) AS c
  ON c.app_id = p.app_id AND c.video_id = p.video_id;

-- view: evidence
-- own: why the event itself is counted in another way; word: why it stands in one layer only. An event that only moved
-- over the end of its minute's list has the reasons of those that moved it.
SELECT o.app_id, o.event_id,
       CASE
         WHEN o.own IS NOT NULL THEN ARRAY(o.own)
         WHEN o.cut_differs THEN COALESCE(m.causes, ARRAY('unknown'))
         ELSE CAST(ARRAY() AS ARRAY<STRING>)
       END AS own,
       w.word
FROM owned AS o
LEFT JOIN worded AS w ON w.app_id = o.app_id AND w.event_id = o.event_id
LEFT JOIN (
  SELECT app_id, user_key, `time` DIV 60000 AS minute, COLLECT_SET(own) AS causes
  FROM owned WHERE own IS NOT NULL GROUP BY app_id, user_key, `time` DIV 60000
) AS m ON m.app_id = o.app_id AND m.user_key = o.user_key AND m.minute = o.`time` DIV 60000;

-- view: crowded
-- Minutes of a person whose list is cut: which of the events got into it depends on how Flink's subtasks interleaved.
SELECT app_id, user_key, (`time` DIV 60000) * 60000 AS tile_start
FROM counted
GROUP BY app_id, user_key, `time` DIV 60000
HAVING COUNT(*) > :keep;
