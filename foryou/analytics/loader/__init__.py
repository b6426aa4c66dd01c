"""From Kafka into ClickHouse, exactly once: an offset range is planned before it is inserted, and retried exactly."""
