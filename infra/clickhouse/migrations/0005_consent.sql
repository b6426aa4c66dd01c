-- Rows of people who do not consent to analytics stand without their person (user_key ''), so that counts stay exact;
-- what counts people leaves them out.

CREATE TABLE IF NOT EXISTS withheld
(
    app_id String,
    user_key String
)
ENGINE = Memory
COMMENT 'The loader''s, the night''s: whom the statement at hand takes out of rows; empty but for that moment.';

ALTER TABLE events COMMENT COLUMN user_key 'keyed HMAC of the user id (of the device id for a viewer without account), never the raw id; empty: the person does not consent to analytics, and nothing in the row tells who it is';
ALTER TABLE served COMMENT COLUMN user_key 'who asked; empty: the person does not consent to analytics';

CREATE OR REPLACE VIEW video_performance AS
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
    uniqExactIf(cityHash64(user_key), user_key != '') AS people
FROM events AS e
WHERE video_id IS NOT NULL
GROUP BY app_id, day, video_id
COMMENT 'What each video got on a day; people: of those who consent to analytics. It reads the events themselves: name a day or a few, and people only if you need them, who cost more than all the rest.';

CREATE OR REPLACE VIEW retention AS
WITH
    active AS
    (
        SELECT DISTINCT app_id, user_key, day FROM events
        WHERE user_key != '' AND event_type NOT IN ('network_change', 'location_change', 'playback_error')
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
COMMENT 'Of the people first seen on a day (their cohort) who consent to analytics, how many came back so many days later.';
