"""The forwarder: the log into Kafka, in order, in a process of its own: a Kafka that hangs cannot slow an ack."""
