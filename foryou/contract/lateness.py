"""How late an event may be, and how long state outlives that."""

LATENESS_BOUND_MS = 24 * 3_600_000  # received_at − event_time beyond this: events.late, corrected by the batch layer
LONGEST_STOP_MS = 24 * 3_600_000  # a stopped job keeps its promises when it is back within this
STATE_TTL_MS = LATENESS_BOUND_MS + LONGEST_STOP_MS  # of dedup, relations and tiles in Flink
