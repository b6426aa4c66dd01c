"""What every long-lived client of Kafka is told, so that it finds a broker again that was away."""

# A broker that was silent for nine seconds (frozen, or its disk hung) is fenced: for a moment the cluster has none, and
# a client that asks in that moment forgets the one it knew. By itself it would begin anew after five minutes.
COMES_BACK = {
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1_000,
    "topic.metadata.refresh.interval.ms": 5_000,
    "metadata.recovery.strategy": "rebootstrap",
    "metadata.recovery.rebootstrap.trigger.ms": 5_000,
}
