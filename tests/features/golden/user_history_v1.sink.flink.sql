CREATE TABLE `features.user_history.v1` (
  `app_id` STRING NOT NULL,
  `user_key` STRING NOT NULL,
  `salt` INT NOT NULL,
  `tile_ms` BIGINT NOT NULL,
  `tile_start` BIGINT NOT NULL,
  `epoch` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `first_ms` BIGINT,
  `last_ms` BIGINT,
  `views` BIGINT NOT NULL,
  `watched` BIGINT NOT NULL,
  `finishes` BIGINT NOT NULL,
  `skips` BIGINT NOT NULL,
  `watch_ms` BIGINT NOT NULL,
  `likes` BIGINT NOT NULL,
  `shares` BIGINT NOT NULL,
  `comments` BIGINT NOT NULL,
  PRIMARY KEY (`app_id`, `user_key`, `salt`, `tile_ms`, `tile_start`) NOT ENFORCED
)
WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'features.user_history.v1',
  'properties.bootstrap.servers' = 'kafka:9092',
  'key.format' = 'csv',
  'key.csv.field-delimiter' = '|',
  'key.csv.disable-quote-character' = 'true',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = 'http://registry/apis/ccompat/v7',
  'value.avro-confluent.subject' = 'features.user_history.v1-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "UserHistoryV1", "namespace": "foryou.features.v1", "doc": "A person''s days of the last month.", "fields": [{"name": "app_id", "type": "string", "doc": "the app"}, {"name": "user_key", "type": "string", "doc": "the entity"}, {"name": "salt", "type": "int", "doc": "part of the tile, 0 to 0; readers merge them"}, {"name": "tile_ms", "type": "long", "doc": "length of the tile, ms"}, {"name": "tile_start", "type": "long", "doc": "its first instant, UTC ms"}, {"name": "epoch", "type": "long", "doc": "of the job''s state; a larger one replaces"}, {"name": "n", "type": "long", "doc": "events applied; within an epoch a larger one replaces, an equal one too"}, {"name": "first_ms", "type": ["null", "long"], "default": null, "doc": "time of the first event, UTC ms"}, {"name": "last_ms", "type": ["null", "long"], "default": null, "doc": "time of the last event, UTC ms"}, {"name": "views", "type": "long", "default": 0, "doc": "videos seen to their end or left"}, {"name": "watched", "type": "long", "default": 0, "doc": "videos watched for more than a quick skip"}, {"name": "finishes", "type": "long", "default": 0, "doc": "videos watched to the end"}, {"name": "skips", "type": "long", "default": 0, "doc": "videos swiped away before 2 s"}, {"name": "watch_ms", "type": "long", "default": 0, "doc": "time watched, ms, skips included"}, {"name": "likes", "type": "long", "default": 0, "doc": "likes that still stand"}, {"name": "shares", "type": "long", "default": 0, "doc": "shares that still stand"}, {"name": "comments", "type": "long", "default": 0, "doc": "comments"}]}',
  'value.fields-include' = 'ALL',
  'sink.delivery-guarantee' = 'at-least-once'
)
