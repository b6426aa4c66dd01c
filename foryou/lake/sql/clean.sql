-- Events of some days, blended with what was known of their video and person when they were received, with the last word
-- on relations and the largest watch time of each play. Reads `events` (the days), `words` (on relations: all, of all days;
-- on plays: of the days and those beside them), `content`, `account`.
--
-- :bound is how much later than an 'on' a word may arrive and still withdraw it, ms: without end for the batch layer, the
-- lateness bound where the speed layer's own answer is wanted.

-- view: video_versions
-- What was known of a video, from when to when. The first version counts for the time before it, too: an event that
-- overtook its video's publication finds it.
SELECT app_id, video_id,
       CASE WHEN number = 1 THEN :least ELSE received_at END AS valid_from,
       COALESCE(LEAD(received_at) OVER w, :most) AS valid_to,
       category, creator_key, video_duration_ms, video_language, video_region, published_at
FROM (
  SELECT app_id, video_id, received_at, topic, source_partition, source_offset,
         ROW_NUMBER() OVER w AS number,
         LAST_VALUE(category, TRUE) OVER w AS category,
         LAST_VALUE(creator_key, TRUE) OVER w AS creator_key,
         LAST_VALUE(duration_ms, TRUE) OVER w AS video_duration_ms,
         LAST_VALUE(`language`, TRUE) OVER w AS video_language,
         LAST_VALUE(region, TRUE) OVER w AS video_region,
         LAST_VALUE(CASE WHEN event_type = 'video_published' THEN COALESCE(published_at, event_time) ELSE published_at END, TRUE) OVER w AS published_at
  FROM content
  WINDOW w AS (PARTITION BY app_id, video_id ORDER BY received_at, topic, source_partition, source_offset
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WINDOW w AS (PARTITION BY app_id, video_id ORDER BY received_at, topic, source_partition, source_offset);

-- view: person_versions
SELECT app_id, user_key,
       CASE WHEN number = 1 THEN :least ELSE received_at END AS valid_from,
       COALESCE(LEAD(received_at) OVER w, :most) AS valid_to,
       user_region, user_language
FROM (
  SELECT app_id, user_key, received_at, topic, source_partition, source_offset,
         ROW_NUMBER() OVER w AS number,
         LAST_VALUE(region, TRUE) OVER w AS user_region,
         LAST_VALUE(`language`, TRUE) OVER w AS user_language
  FROM account
  WINDOW w AS (PARTITION BY app_id, user_key ORDER BY received_at, topic, source_partition, source_offset
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WINDOW w AS (PARTITION BY app_id, user_key ORDER BY received_at, topic, source_partition, source_offset);

-- view: heard
-- Words on states, and whether they stand: a word that was the newest of its register when it arrived, until the next one
-- that was, if that came within the bound. A play's watch time is a word with a weight; of relations it is nought.
SELECT app_id, event_id, event_type, relation,
       is_newest AND switches_on AND (withdrawn_at IS NULL OR withdrawn_at - `time` > :bound) AS stands
FROM (
  SELECT *,
         LEAD(received_at) OVER (PARTITION BY app_id, user_key, relation, object, is_newest
                                 ORDER BY topic, source_partition, source_offset) AS withdrawn_at
  FROM (
    SELECT *, newest_before IS NULL OR STRUCT(weight, `time`, event_id) > newest_before AS is_newest
    FROM (
      SELECT *,
             MAX(STRUCT(weight, `time`, event_id)) OVER (PARTITION BY app_id, user_key, relation, object
                                                         ORDER BY topic, source_partition, source_offset
                                                         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest_before
      FROM words
    )
  )
);

-- view: standing
SELECT app_id, event_id FROM heard WHERE stands AND relation <> 'watch';

-- view: unusual
-- A view_end has the largest watch time of its play, and a heartbeat has not: but for these, which are few.
SELECT app_id, event_id FROM heard WHERE relation = 'watch' AND stands <> (event_type = 'view_end');

-- view: minutes
-- How many events a person's minutes hold: counted once for bots and for busy minutes.
SELECT app_id, user_key, day, `time` DIV 60000 AS minute, COUNT(*) AS events
FROM events
GROUP BY app_id, user_key, day, `time` DIV 60000;

-- view: bots
-- People, or what looks like one, by stated rules: more than :most_per_hour events in an hour of a day.
SELECT DISTINCT app_id, user_key, day
FROM minutes
GROUP BY app_id, user_key, day, minute DIV 60
HAVING SUM(events) > :most_per_hour;

-- view: numbered
-- Events of minutes that hold more than a tile collects, by order of arrival. Few, so they are looked up: numbering all
-- would move all columns of every event through a shuffle.
SELECT app_id, event_id,
       CAST(ROW_NUMBER() OVER (PARTITION BY app_id, user_key, `time` DIV 60000
                               ORDER BY topic, source_partition, source_offset) AS BIGINT) AS nth
FROM events AS e
LEFT SEMI JOIN (SELECT * FROM minutes WHERE events > :most_collected) AS b
  ON b.app_id = e.app_id AND b.user_key = e.user_key AND b.minute = e.`time` DIV 60000;

-- view: spoken
-- Only words on relations are looked up among those that stand, for the same reason.
SELECT e.*, CASE WHEN s.event_id IS NOT NULL THEN 1 ELSE 0 END AS relation_on
FROM events AS e LEFT JOIN standing AS s ON s.app_id = e.app_id AND s.event_id = e.event_id
WHERE e.relation <> 'watch' AND e.object IS NOT NULL
UNION ALL
SELECT e.*, CASE WHEN e.relation = 'watch' THEN CASE WHEN (e.event_type = 'view_end') = (u.event_id IS NULL) THEN 1 ELSE 0 END END
FROM events AS e LEFT JOIN unusual AS u ON u.app_id = e.app_id AND u.event_id = e.event_id
WHERE e.relation IS NULL OR e.relation = 'watch' OR e.object IS NULL;

-- view: clean
SELECT /*+ BROADCAST(b) */ :event, e.`time`,
       v.category, v.creator_key, v.video_duration_ms, v.video_language, v.video_region, v.published_at,
       p.user_region, p.user_language,
       e.relation,
       e.relation_on,
       CAST(NULL AS BIGINT) AS cancels_time, CAST(NULL AS STRING) AS cancels_event_id,
       e.source_partition, e.source_offset,
       COALESCE(n.nth, 0) AS nth,
       e.late,
       b.user_key IS NOT NULL AS flagged,
       e.day
FROM spoken AS e
LEFT JOIN numbered AS n ON n.app_id = e.app_id AND n.event_id = e.event_id
LEFT JOIN video_versions AS v
  ON v.app_id = e.app_id AND v.video_id = e.video_id AND e.received_at >= v.valid_from AND e.received_at < v.valid_to
LEFT JOIN person_versions AS p
  ON p.app_id = e.app_id AND p.user_key = e.user_key AND e.received_at >= p.valid_from AND e.received_at < p.valid_to
LEFT JOIN bots AS b ON b.app_id = e.app_id AND b.user_key = e.user_key AND b.day = e.day;
