CREATE TABLE `features.video_history.v1` (
  `app_id` STRING NOT NULL,
  `video_id` STRING NOT NULL,
  `salt` INT NOT NULL,
  `tile_ms` BIGINT NOT NULL,
  `tile_start` BIGINT NOT NULL,
  `epoch` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `first_ms` BIGINT,
  `last_ms` BIGINT,
  `plays` BIGINT NOT NULL,
  `views` BIGINT NOT NULL,
  `watch_ms` BIGINT NOT NULL,
  `finishes` BIGINT NOT NULL,
  `skips` BIGINT NOT NULL,
  `likes` BIGINT NOT NULL,
  `shares` BIGINT NOT NULL,
  PRIMARY KEY (`app_id`, `video_id`, `salt`, `tile_ms`, `tile_start`) NOT ENFORCED
)
WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'features.video_history.v1',
  'properties.bootstrap.servers' = 'kafka:9092',
  'key.format' = 'csv',
  'key.csv.field-delimiter' = '|',
  'key.csv.disable-quote-character' = 'true',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = 'http://registry/apis/ccompat/v7',
  'value.avro-confluent.subject' = 'features.video_history.v1-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "VideoHistoryV1", "namespace": "foryou.features.v1", "doc": "A video''s days of the last month. Salted: a viral video is many keys.", "fields": [{"name": "app_id", "type": "string", "doc": "the app"}, {"name": "video_id", "type": "string", "doc": "the entity"}, {"name": "salt", "type": "int", "doc": "part of the tile, 0 to 3; readers merge them"}, {"name": "tile_ms", "type": "long", "doc": "length of the tile, ms"}, {"name": "tile_start", "type": "long", "doc": "its first instant, UTC ms"}, {"name": "epoch", "type": "long", "doc": "of the job''s state; a larger one replaces"}, {"name": "n", "type": "long", "doc": "events applied; within an epoch a larger one replaces, an equal one too"}, {"name": "first_ms", "type": ["null", "long"], "default": null, "doc": "time of the first event, UTC ms"}, {"name": "last_ms", "type": ["null", "long"], "default": null, "doc": "time of the last event, UTC ms"}, {"name": "plays", "type": "long", "default": 0, "doc": "plays started"}, {"name": "views", "type": "long", "default": 0, "doc": "plays that ended"}, {"name": "watch_ms", "type": "long", "default": 0, "doc": "time watched, ms"}, {"name": "finishes", "type": "long", "default": 0, "doc": "watched to the end"}, {"name": "skips", "type": "long", "default": 0, "doc": "swiped away before 2 s"}, {"name": "likes", "type": "long", "default": 0, "doc": "likes that still stand"}, {"name": "shares", "type": "long", "default": 0, "doc": "shares that still stand"}]}',
  'value.fields-include' = 'ALL',
  'sink.delivery-guarantee' = 'at-least-once'
)
