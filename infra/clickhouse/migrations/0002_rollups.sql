-- Rollups by minute, hour and day. Keys: app, time, event type, category, region, origin. Sums add up; people are kept
-- as exact sets (uniqExact over user keys), so that they merge over any keys without an error. Read them through
-- per_minute, per_hour, per_day.
--   finishes: watched at least 95 % of a known length; skips: away before 2 s from a longer video
--   (the same words as foryou/features/definitions/signals.py).

CREATE TABLE IF NOT EXISTS minutes
(
    app_id LowCardinality(String),
    day Date COMMENT 'UTC day; the partition',
    minute DateTime('UTC') COMMENT 'start of the minute',
    event_type LowCardinality(String),
    category LowCardinality(String) COMMENT 'of the video; empty if unknown or none',
    region LowCardinality(String) COMMENT 'of the device, else of the account; empty if unknown',
    origin LowCardinality(String) COMMENT 'speed or batch',
    events SimpleAggregateFunction(sum, UInt64) COMMENT 'number of events',
    watch_ms SimpleAggregateFunction(sum, Int64) COMMENT 'time watched, of view_end',
    finishes SimpleAggregateFunction(sum, UInt64) COMMENT 'watched to the end',
    skips SimpleAggregateFunction(sum, UInt64) COMMENT 'swiped away before 2 s',
    flagged SimpleAggregateFunction(sum, UInt64) COMMENT 'events of bots; batch only',
    people AggregateFunction(uniqExact, String) COMMENT 'distinct people, exact',
    as_of SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY day
ORDER BY (app_id, day, minute, event_type, category, region, origin)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Events per minute: partial sums and sets; read per_minute.';

CREATE TABLE IF NOT EXISTS minutes_nightly AS minutes;

CREATE VIEW IF NOT EXISTS per_minute AS
SELECT
    app_id, day, minute, event_type, category, region, origin,
    sum(events) AS events, sum(watch_ms) AS watch_ms, sum(finishes) AS finishes, sum(skips) AS skips,
    sum(flagged) AS flagged, uniqExactMerge(people) AS people, max(as_of) AS as_of
FROM minutes
GROUP BY app_id, day, minute, event_type, category, region, origin
COMMENT 'Events per minute, event type, category and region. People do not add up over rows: ask uniqExactMerge(people) of minutes.';

CREATE TABLE IF NOT EXISTS hours
(
    app_id LowCardinality(String),
    day Date COMMENT 'UTC day; the partition',
    hour DateTime('UTC') COMMENT 'start of the hour',
    event_type LowCardinality(String),
    category LowCardinality(String) COMMENT 'of the video; empty if unknown or none',
    region LowCardinality(String) COMMENT 'of the device, else of the account; empty if unknown',
    origin LowCardinality(String) COMMENT 'speed or batch',
    events SimpleAggregateFunction(sum, UInt64) COMMENT 'number of events',
    watch_ms SimpleAggregateFunction(sum, Int64) COMMENT 'time watched, of view_end',
    finishes SimpleAggregateFunction(sum, UInt64) COMMENT 'watched to the end',
    skips SimpleAggregateFunction(sum, UInt64) COMMENT 'swiped away before 2 s',
    flagged SimpleAggregateFunction(sum, UInt64) COMMENT 'events of bots; batch only',
    people AggregateFunction(uniqExact, String) COMMENT 'distinct people, exact',
    as_of SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY day
ORDER BY (app_id, day, hour, event_type, category, region, origin)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Events per hour: partial sums and sets; read per_hour.';

CREATE TABLE IF NOT EXISTS hours_nightly AS hours;

CREATE VIEW IF NOT EXISTS per_hour AS
SELECT
    app_id, day, hour, event_type, category, region, origin,
    sum(events) AS events, sum(watch_ms) AS watch_ms, sum(finishes) AS finishes, sum(skips) AS skips,
    sum(flagged) AS flagged, uniqExactMerge(people) AS people, max(as_of) AS as_of
FROM hours
GROUP BY app_id, day, hour, event_type, category, region, origin
COMMENT 'Events per hour, event type, category and region. People do not add up over rows: ask uniqExactMerge(people) of hours.';

CREATE TABLE IF NOT EXISTS days
(
    app_id LowCardinality(String),
    day Date COMMENT 'UTC day; the partition',
    event_type LowCardinality(String),
    category LowCardinality(String) COMMENT 'of the video; empty if unknown or none',
    region LowCardinality(String) COMMENT 'of the device, else of the account; empty if unknown',
    origin LowCardinality(String) COMMENT 'speed or batch',
    events SimpleAggregateFunction(sum, UInt64) COMMENT 'number of events',
    watch_ms SimpleAggregateFunction(sum, Int64) COMMENT 'time watched, of view_end',
    finishes SimpleAggregateFunction(sum, UInt64) COMMENT 'watched to the end',
    skips SimpleAggregateFunction(sum, UInt64) COMMENT 'swiped away before 2 s',
    flagged SimpleAggregateFunction(sum, UInt64) COMMENT 'events of bots; batch only',
    people AggregateFunction(uniqExact, String) COMMENT 'distinct people, exact',
    as_of SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY day
ORDER BY (app_id, day, event_type, category, region, origin)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Events per day: partial sums and sets; read per_day.';

CREATE TABLE IF NOT EXISTS days_nightly AS days;

CREATE VIEW IF NOT EXISTS per_day AS
SELECT
    app_id, day, event_type, category, region, origin,
    sum(events) AS events, sum(watch_ms) AS watch_ms, sum(finishes) AS finishes, sum(skips) AS skips,
    sum(flagged) AS flagged, uniqExactMerge(people) AS people, max(as_of) AS as_of
FROM days
GROUP BY app_id, day, event_type, category, region, origin
COMMENT 'Events per day, event type, category and region. People do not add up over rows: ask uniqExactMerge(people) of days.';

