"""The collector's durable log: what is in it is acknowledged, whatever else is down.

`event_log` says what a log promises (and ships a double in memory), `frames` how bytes become frames and are found
again, `segments` how files are named, `disk_log` writes, `tail` reads.
"""
