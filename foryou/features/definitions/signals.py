"""The words that definitions share: conditions over events.clean for watched, skipped, finished, engaged."""

# A quick skip: away before 2 s from a longer video. An unknown length is taken as longer (videos under 2 s hardly
# exist), an unknown watched time is no skip. Never null, so that every view_end is either skipped or watched.
_AWAY_AT_ONCE = "COALESCE(watch_ms, 2000) < 2000 AND COALESCE(duration_ms, video_duration_ms, 2001) > 2000"

VIEWED = "event_type = 'view_end'"
SKIPPED = f"{VIEWED} AND {_AWAY_AT_ONCE}"
WATCHED = f"{VIEWED} AND NOT ({_AWAY_AT_ONCE})"
# Players report a little less than the length at the end.
FINISHED = f"{VIEWED} AND watch_ms * 100 >= COALESCE(duration_ms, video_duration_ms) * 95"
PLAYED = "event_type = 'play_start'"
ENGAGED = "event_type IN ('like', 'comment', 'share', 'duet', 'stitch', 'follow')"
# What a phone sends by itself says nothing about a person being there.
BY_A_PERSON = "event_type NOT IN ('network_change', 'location_change', 'playback_error')"
