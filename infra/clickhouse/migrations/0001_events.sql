-- Events as analysts read them: one row per (app_id, event_id), from events.clean.v1 by the loader (origin 'speed')
-- until the nightly run replaces the day (origin 'batch'). The loader drops copies before they are inserted, so that
-- counts are right without FINAL.

CREATE TABLE IF NOT EXISTS events
(
    day Date DEFAULT toDate(time) COMMENT 'UTC day of time; the partition',
    event_id String COMMENT 'UUID of the event, one from the edge to every store; v7 preferred, given at the door if absent',
    app_id LowCardinality(String) COMMENT 'the app whose write key the event came in with; part of every key',
    event_type LowCardinality(String) COMMENT 'one of foryou.contract.events.TYPES; a string, so that a new type is no new schema',
    user_key String COMMENT 'keyed HMAC of the user id (of the device id for a viewer without account); never the raw id',
    device_key Nullable(String) COMMENT 'keyed HMAC of the device id',
    session_id Nullable(String) COMMENT 'client''s session',
    seq Nullable(Int64) COMMENT 'running number within the session, from 0: a gap in it means unknown, never a skip',
    video_id Nullable(String) COMMENT 'the video acted on',
    target_user_key Nullable(String) COMMENT 'the person acted on (follow, block, hide_creator, profile_visit), as user_key',
    event_time DateTime64(3, 'UTC') COMMENT 'client''s clock, as sent',
    sent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'client''s clock at sending',
    received_at DateTime64(3, 'UTC') COMMENT 'collector''s clock',
    impression_id Nullable(String) COMMENT 'from the feed''s item',
    request_id Nullable(String) COMMENT 'from the feed''s answer',
    position Nullable(Int32) COMMENT '0-based place in the feed',
    watch_ms Nullable(Int64) COMMENT 'watched time in ms',
    duration_ms Nullable(Int64) COMMENT 'length of the video in ms as the client played it',
    loops Nullable(Int32) COMMENT 'number of replays',
    text_length Nullable(Int32) COMMENT 'characters of a comment; the text itself is not taken',
    query Nullable(String) COMMENT 'search words',
    startup_ms Nullable(Int64) COMMENT 'tap to first frame in ms',
    rebuffer_ms Nullable(Int64) COMMENT 'stalled time in ms',
    network LowCardinality(Nullable(String)) COMMENT 'wifi, 5g, 4g, …',
    device_model LowCardinality(Nullable(String)) COMMENT 'context.device',
    os LowCardinality(Nullable(String)) COMMENT 'context.os',
    app_version LowCardinality(Nullable(String)) COMMENT 'context.app_version',
    locale LowCardinality(Nullable(String)) COMMENT 'BCP 47 tag',
    region LowCardinality(Nullable(String)) COMMENT 'ISO 3166 region of the device',
    consent LowCardinality(Nullable(String)) COMMENT 'granted purposes, sorted and joined by commas; null: not stated',
    properties Map(String, String) COMMENT 'whatever else the app sends',
    time DateTime64(3, 'UTC') COMMENT 'the event''s time for features: event_time clamped by received_at',
    category LowCardinality(Nullable(String)) COMMENT 'of the video, at the moment of admission',
    creator_key Nullable(String) COMMENT 'of the video',
    video_duration_ms Nullable(Int64) COMMENT 'of the video',
    video_language LowCardinality(Nullable(String)) COMMENT 'of the video',
    video_region LowCardinality(Nullable(String)) COMMENT 'of the video',
    published_at Nullable(DateTime64(3, 'UTC')) COMMENT 'of the video',
    user_region LowCardinality(Nullable(String)) COMMENT 'of the account',
    user_language LowCardinality(Nullable(String)) COMMENT 'of the account',
    relation LowCardinality(Nullable(String)) COMMENT 'the state that the event speaks about (like, share, follow, block, hide_creator, …); null if none',
    relation_on Nullable(Int32) COMMENT '1: the event switches the relation on and is its newest word; 0: it does not',
    cancels_time Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the earlier ''on'' whose contribution this event withdraws; null if none',
    cancels_event_id Nullable(String) COMMENT 'id of that earlier event; a withdrawal is salted as what it withdraws',
    source_partition Int32 COMMENT 'partition of the lane it came from',
    source_offset Int64 COMMENT 'offset there',
    nth Nullable(Int64) COMMENT 'running number in the person''s minute; batch only',
    late Bool DEFAULT false COMMENT 'came later than the speed layer accepts; batch only',
    flagged Bool DEFAULT false COMMENT 'a bot by stated rules; batch only',
    origin LowCardinality(String) COMMENT 'speed or batch',
    as_of DateTime64(3, 'UTC') COMMENT 'when this row was written here',
    id_hash UInt64 MATERIALIZED sipHash64(app_id, event_id) COMMENT 'finds copies'
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (app_id, event_type, time, event_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Admitted events, one row per (app_id, event_id), blended with their video and person.';

-- What the loader has read of a planned offset range, as the topic has it. Emptied before every range.
CREATE TABLE IF NOT EXISTS events_read
(
    event_id String,
    app_id String,
    event_type String,
    user_key String,
    device_key Nullable(String),
    session_id Nullable(String),
    seq Nullable(Int64),
    video_id Nullable(String),
    target_user_key Nullable(String),
    event_time Int64,
    sent_at Nullable(Int64),
    received_at Int64,
    impression_id Nullable(String),
    request_id Nullable(String),
    position Nullable(Int32),
    watch_ms Nullable(Int64),
    duration_ms Nullable(Int64),
    loops Nullable(Int32),
    text_length Nullable(Int32),
    query Nullable(String),
    startup_ms Nullable(Int64),
    rebuffer_ms Nullable(Int64),
    network Nullable(String),
    device_model Nullable(String),
    os Nullable(String),
    app_version Nullable(String),
    locale Nullable(String),
    region Nullable(String),
    consent Nullable(String),
    properties Map(String, String),
    time Nullable(Int64),
    category Nullable(String),
    creator_key Nullable(String),
    video_duration_ms Nullable(Int64),
    video_language Nullable(String),
    video_region Nullable(String),
    published_at Nullable(Int64),
    user_region Nullable(String),
    user_language Nullable(String),
    relation Nullable(String),
    relation_on Nullable(Int32),
    cancels_time Nullable(Int64),
    cancels_event_id Nullable(String),
    source_partition Int32,
    source_offset Int64
)
ENGINE = MergeTree
ORDER BY tuple()
COMMENT 'The loader''s: records of the range at hand, as they lie in Kafka.';

-- The rows that a range adds, fixed before any of them is added.
CREATE TABLE IF NOT EXISTS events_planned AS events
COMMENT 'The loader''s: rows that the range at hand adds to events and to the rollups.';

-- A day as the night has it, before it takes the place of the day above.
CREATE TABLE IF NOT EXISTS events_nightly AS events
COMMENT 'The nightly replacement''s: the day that is about to take its place in events.';
