-- What the night computes and ClickHouse only keeps, the log of served feeds, and what has been replaced up to when.

CREATE TABLE IF NOT EXISTS trends
(
    app_id LowCardinality(String),
    period LowCardinality(String) COMMENT 'day or week',
    day Date COMMENT 'last day of the period',
    dimension LowCardinality(String) COMMENT 'video, region, category, hashtag or creator',
    key String DEFAULT '' COMMENT 'empty: the dimension''s own values are ranked; else the value whose videos are ranked',
    subject String COMMENT 'what is ranked: a video, region, category, hashtag or creator',
    kind LowCardinality(String) COMMENT 'popular or rising',
    rank UInt32 COMMENT '1 is the top',
    events Int64 COMMENT 'events counted',
    people Int64 COMMENT 'distinct people',
    before Int64 DEFAULT 0 COMMENT 'people of the period before',
    score Float64 COMMENT 'what it is ranked by',
    confidence Nullable(Float64) COMMENT 'how sure the score is',
    origin LowCardinality(String) DEFAULT 'batch',
    as_of DateTime64(3, 'UTC') COMMENT 'when this row was written here'
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (app_id, period, day, dimension, key, kind, rank, subject)
COMMENT 'Trends of every day and week.';

CREATE TABLE IF NOT EXISTS parity
(
    day Date COMMENT 'day compared',
    view LowCardinality(String) COMMENT 'the feature view',
    app_id LowCardinality(String),
    entity String COMMENT 'whose tile',
    facet Nullable(String) COMMENT 'the facet of the tile, where its view has one',
    tile_ms Int64 COMMENT 'length of the tile',
    tile_start DateTime64(3, 'UTC') COMMENT 'start of the tile',
    causes Array(LowCardinality(String)) COMMENT 'late, duplicate, lag, dropped, expired, imported, code, unknown',
    speed Nullable(String) COMMENT 'the tile as Flink has it, JSON; null: it has none',
    batch Nullable(String) COMMENT 'the tile as Spark has it, JSON; null: it has none',
    origin LowCardinality(String) DEFAULT 'batch',
    as_of DateTime64(3, 'UTC') COMMENT 'when this row was written here'
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (view, app_id, entity, tile_start, tile_ms)
COMMENT 'Tiles in which the speed and the batch layer differ, each with its causes.';

CREATE TABLE IF NOT EXISTS served
(
    day Date DEFAULT toDate(served_at) COMMENT 'UTC day of served_at; the partition',
    app_id LowCardinality(String),
    request_id String COMMENT 'of the answer',
    user_key String COMMENT 'who asked',
    served_at DateTime64(3, 'UTC') COMMENT 'when the feed was answered',
    features_at DateTime64(3, 'UTC') COMMENT 'when the features were read',
    fallback LowCardinality(Nullable(String)) COMMENT 'null, or the step that answered instead of the full pipeline',
    model_version LowCardinality(String) COMMENT 'weights that scored it',
    variant LowCardinality(Nullable(String)) COMMENT 'experiment variant',
    impression_id String COMMENT 'joins to events.impression_id',
    video_id String,
    position Int32 COMMENT '0-based place in the feed',
    creator_key String,
    category LowCardinality(Nullable(String)),
    source LowCardinality(String) COMMENT 'candidate source that brought it first',
    score Float64 COMMENT 'final score',
    features Map(String, Float64) COMMENT 'values it was scored on',
    origin LowCardinality(String) COMMENT 'speed or batch',
    as_of DateTime64(3, 'UTC') COMMENT 'when this row was written here',
    id_hash UInt64 MATERIALIZED sipHash64(app_id, request_id) COMMENT 'finds copies'
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (app_id, served_at, request_id, position)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Feeds as they were served, one row per place.';

CREATE TABLE IF NOT EXISTS served_read
(
    request_id String,
    app_id String,
    user_key String,
    served_at Int64,
    features_at Int64,
    fallback Nullable(String),
    model_version String,
    variant Nullable(String),
    items Nested
    (
        impression_id String, video_id String, position Int32, creator_key String, category Nullable(String),
        source String, score Float64, features Map(String, Float64)
    )
)
ENGINE = MergeTree
ORDER BY tuple()
COMMENT 'The loader''s: records of the range at hand, as they lie in Kafka.';

CREATE TABLE IF NOT EXISTS served_planned AS served COMMENT 'The loader''s: rows that the range at hand adds to served.';
CREATE TABLE IF NOT EXISTS served_nightly AS served;
CREATE TABLE IF NOT EXISTS trends_nightly AS trends;
CREATE TABLE IF NOT EXISTS parity_nightly AS parity;

CREATE TABLE IF NOT EXISTS replaced
(
    table LowCardinality(String) COMMENT 'events or served',
    day Date COMMENT 'the day that the night has replaced',
    cut_off DateTime64(3, 'UTC') COMMENT 'batch is complete for what was received before this moment',
    as_of DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(as_of)
ORDER BY (table, day)
COMMENT 'Days that batch has replaced: the loader adds to them only what was received at or after the cut-off.';
