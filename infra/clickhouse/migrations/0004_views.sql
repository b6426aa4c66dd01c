-- Plain words for what is asked every day.

CREATE VIEW IF NOT EXISTS daily_active_people AS
SELECT app_id, day, uniqExactMerge(people) AS people, sum(events) AS events, max(as_of) AS as_of
FROM days
WHERE event_type NOT IN ('network_change', 'location_change', 'playback_error')
GROUP BY app_id, day
COMMENT 'People who did something on a day (UTC), and how many events that made. What a phone sends by itself does not count.';

CREATE VIEW IF NOT EXISTS top_categories AS
SELECT
    app_id, day, category,
    sumIf(events, event_type = 'view_end') AS views,
    sum(watch_ms) AS watch_ms,
    sum(finishes) AS finishes,
    sum(skips) AS skips,
    sumIf(events, event_type = 'like') AS likes,
    sumIf(events, event_type = 'share') AS shares,
    uniqExactMerge(people) AS people
FROM days
WHERE category != ''
GROUP BY app_id, day, category
COMMENT 'What each category got on a day: views, time watched, likes, shares, people. Order by what you care about.';

CREATE VIEW IF NOT EXISTS video_performance AS
SELECT
    app_id, day, video_id,
    any(e.category) AS category, any(e.creator_key) AS creator_key,
    countIf(event_type = 'impression') AS impressions,
    countIf(event_type = 'play_start') AS plays,
    countIf(event_type = 'view_end') AS views,
    sumIf(e.watch_ms, event_type = 'view_end') AS watch_ms,
    countIf(event_type = 'view_end' AND e.watch_ms * 100 >= coalesce(duration_ms, video_duration_ms) * 95) AS finishes,
    countIf(event_type = 'view_end' AND coalesce(e.watch_ms, 2000) < 2000
        AND coalesce(duration_ms, video_duration_ms, 2001) > 2000) AS skips,
    countIf(event_type = 'like') AS likes,
    countIf(event_type = 'comment') AS comments,
    countIf(event_type = 'share') AS shares,
    uniqExact(cityHash64(user_key)) AS people
FROM events AS e
WHERE video_id IS NOT NULL
GROUP BY app_id, day, video_id
COMMENT 'What each video got on a day. It reads the events themselves: name a day or a few, and people only if you need them, who cost more than all the rest.';

CREATE VIEW IF NOT EXISTS retention AS
WITH
    active AS
    (
        SELECT DISTINCT app_id, user_key, day FROM events
        WHERE event_type NOT IN ('network_change', 'location_change', 'playback_error')
    ),
    firsts AS (SELECT app_id, user_key, min(day) AS first_day FROM active GROUP BY app_id, user_key),
    sizes AS (SELECT app_id, first_day, count() AS cohort FROM firsts GROUP BY app_id, first_day)
SELECT
    active.app_id AS app_id, firsts.first_day AS first_day, dateDiff('day', firsts.first_day, active.day) AS days_later,
    any(sizes.cohort) AS cohort, count() AS people, people / cohort AS share
FROM active
INNER JOIN firsts ON firsts.app_id = active.app_id AND firsts.user_key = active.user_key
INNER JOIN sizes ON sizes.app_id = firsts.app_id AND sizes.first_day = firsts.first_day
GROUP BY app_id, first_day, days_later
COMMENT 'Of the people first seen on a day (their cohort), how many came back so many days later.';

CREATE VIEW IF NOT EXISTS top_trends AS
SELECT app_id, period, day, dimension, key, kind, rank, subject, score, confidence, events, people
FROM trends
ORDER BY app_id, period, day DESC, dimension, key, kind, rank
COMMENT 'Trends, newest first, best first. Filter by period, dimension, kind; key = '''' ranks the dimension itself.';
