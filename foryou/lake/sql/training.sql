-- Pages as they were served, item by item, with what came of each. Reads `served` (some days) and `clean` (a day before
-- them to a day after), both of silver.
--
-- :window is how long after serving an event may be to count as an outcome, ms. :finished and :skipped are the
-- definitions' own words.

-- view: flagged_people
SELECT DISTINCT app_id, user_key, day FROM clean WHERE flagged;

-- view: shown
SELECT s.app_id, s.request_id, s.user_key, s.served_at, s.features_at, s.fallback, s.model_version, s.variant,
       s.user_numbers, s.user_words, s.user_series, s.context, s.day,
       s.item.impression_id, s.item.video_id, s.item.position, s.item.creator_key, s.item.category, s.item.source,
       s.item.score, s.item.features AS item_features
FROM (SELECT *, EXPLODE(items) AS item FROM served) AS s
LEFT ANTI JOIN flagged_people AS f
  ON f.app_id = s.app_id AND f.user_key = s.user_key AND f.day BETWEEN s.day AND DATE_ADD(s.day, 1);

-- view: marks
-- Every sequence number that arrived: whether the next one is missing, and how many are missing from the session's
-- beginning up to here.
SELECT *, SUM(gap) OVER (PARTITION BY app_id, user_key, session_id ORDER BY seq
                         ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS gaps
FROM (
  SELECT *, CASE WHEN LEAD(seq) OVER (PARTITION BY app_id, user_key, session_id ORDER BY seq) = seq + 1 THEN 0 ELSE 1 END AS gap
  FROM (SELECT DISTINCT app_id, user_key, session_id, seq FROM clean WHERE session_id IS NOT NULL AND seq IS NOT NULL)
);

-- view: outcomes
-- What arrived of each impression. The first and last of its numbers are where a gap would hide more of it.
SELECT s.app_id, s.user_key, s.impression_id,
       CASE WHEN COUNT(DISTINCT c.session_id) = 1 AND COUNT(c.session_id) = COUNT(*) AND COUNT(c.seq) = COUNT(*)
            THEN MIN(c.session_id) END AS session_id,
       MIN(c.seq) AS first_seq, MAX(c.seq) AS last_seq,
       BOOL_OR(c.event_type = 'view_end') AS ended,
       MAX(CASE WHEN c.event_type = 'view_end' THEN c.watch_ms END) AS watch_ms,
       BOOL_OR(:finished) AS finished,
       BOOL_AND(CASE WHEN c.event_type = 'view_end' THEN :skipped END) AS skipped,
       BOOL_OR(c.event_type = 'like' AND c.relation_on = 1) AS liked,
       BOOL_OR(c.event_type = 'share' AND c.relation_on = 1) AS shared,
       BOOL_OR(c.event_type = 'comment') AS commented,
       BOOL_OR(c.event_type = 'follow' AND c.relation_on = 1) AS followed,
       BOOL_OR(c.event_type = 'not_interested' AND c.relation_on = 1) AS not_interested,
       BOOL_OR(c.event_type = 'report') AS reported
FROM shown AS s
JOIN clean AS c
  ON c.app_id = s.app_id AND c.user_key = s.user_key AND c.impression_id = s.impression_id AND c.`time` < s.served_at + :window
GROUP BY s.app_id, s.user_key, s.impression_id;

-- view: complete_impressions
-- Nothing is missing from the impression's first event to the one that follows its last.
SELECT o.app_id, o.user_key, o.impression_id
FROM outcomes AS o
JOIN marks AS a ON a.app_id = o.app_id AND a.user_key = o.user_key AND a.session_id = o.session_id AND a.seq = o.first_seq
JOIN marks AS z ON z.app_id = o.app_id AND z.user_key = o.user_key AND z.session_id = o.session_id AND z.seq = o.last_seq
WHERE z.gaps - a.gaps + a.gap = 0;

-- view: pages
-- The same of a page as a whole: where nothing is missing, an item without events was never reached.
SELECT s.app_id, s.user_key, s.request_id, MIN(c.session_id) AS session_id, MIN(c.seq) AS first_seq, MAX(c.seq) AS last_seq
FROM (SELECT DISTINCT app_id, user_key, request_id, served_at FROM shown) AS s
JOIN clean AS c
  ON c.app_id = s.app_id AND c.user_key = s.user_key AND c.request_id = s.request_id AND c.`time` < s.served_at + :window
GROUP BY s.app_id, s.user_key, s.request_id
HAVING COUNT(DISTINCT c.session_id) = 1 AND COUNT(c.session_id) = COUNT(*) AND COUNT(c.seq) = COUNT(*);

-- view: complete_pages
SELECT p.app_id, p.user_key, p.request_id
FROM pages AS p
JOIN marks AS a ON a.app_id = p.app_id AND a.user_key = p.user_key AND a.session_id = p.session_id AND a.seq = p.first_seq
JOIN marks AS z ON z.app_id = p.app_id AND z.user_key = p.user_key AND z.session_id = p.session_id AND z.seq = p.last_seq
WHERE z.gaps - a.gaps + a.gap = 0;

-- view: training
-- What happened is a 1 wherever it arrived; that something did not happen is said only where nothing is missing.
SELECT s.*,
       CASE WHEN o.impression_id IS NOT NULL AND i.impression_id IS NOT NULL THEN 'seen'
            WHEN o.impression_id IS NOT NULL THEN 'partly'
            WHEN p.request_id IS NOT NULL THEN 'unseen'
            ELSE 'unknown' END AS outcome,
       COALESCE(o.watch_ms, CASE WHEN i.impression_id IS NOT NULL THEN 0 END) AS watch_ms,
       CASE WHEN o.ended THEN CAST(COALESCE(o.finished, FALSE) AS INT) WHEN i.impression_id IS NOT NULL THEN 0 END AS finished,
       CASE WHEN o.ended THEN CAST(COALESCE(o.skipped, FALSE) AS INT) WHEN i.impression_id IS NOT NULL THEN 0 END AS skipped,
       CASE WHEN o.liked THEN 1 WHEN i.impression_id IS NOT NULL THEN 0 END AS liked,
       CASE WHEN o.shared THEN 1 WHEN i.impression_id IS NOT NULL THEN 0 END AS shared,
       CASE WHEN o.commented THEN 1 WHEN i.impression_id IS NOT NULL THEN 0 END AS commented,
       CASE WHEN o.followed THEN 1 WHEN i.impression_id IS NOT NULL THEN 0 END AS followed,
       CASE WHEN o.not_interested THEN 1 WHEN i.impression_id IS NOT NULL THEN 0 END AS not_interested,
       CASE WHEN o.reported THEN 1 WHEN i.impression_id IS NOT NULL THEN 0 END AS reported
FROM shown AS s
LEFT JOIN outcomes AS o ON o.app_id = s.app_id AND o.user_key = s.user_key AND o.impression_id = s.impression_id
LEFT JOIN complete_impressions AS i ON i.app_id = s.app_id AND i.user_key = s.user_key AND i.impression_id = s.impression_id
LEFT JOIN complete_pages AS p ON p.app_id = s.app_id AND p.user_key = s.user_key AND p.request_id = s.request_id;
