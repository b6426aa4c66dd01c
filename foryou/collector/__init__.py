"""The collector: HTTP in, the contract checked, Kafka out. door → split → gate → log; side doors join at the gate."""
