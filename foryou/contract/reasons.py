"""Why something became a dead letter: every `reason` that a record of `events.rejected.v1` can have."""

REASONS = (
    "bad_content_type",
    "bad_encoding",
    "bad_parameter",
    "bad_time",
    "bad_value",
    "broken_encoding",
    "double_key",
    "empty",
    "missing_field",
    "no_mapping",
    "not_json",
    "time_out_of_range",
    "too_deep",
    "too_large",
    "too_many",
    "too_many_events",
    "unknown_type",
    "wrong_type",
)
