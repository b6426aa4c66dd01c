"""ClickHouse: migrations, the loader from Kafka, nightly replacement, and the embedded engine's HTTP interface.

One process owns the embedded engine (chDB); everybody else speaks ClickHouse's HTTP interface to it. A ClickHouse
server takes the engine's place by one URL. Imports contract and service.
"""
