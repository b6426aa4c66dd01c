"""The online store: the tile ring in RocksDB, the writer that fills it from Kafka, Feast in front of it."""

import foryou.service.feast_unread  # noqa: F401
