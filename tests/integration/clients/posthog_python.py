"""PostHog's library for Python: only the host is ours."""

import sys

from posthog import Posthog

url, key, gzip = sys.argv[1], sys.argv[2], sys.argv[3] == "gzip"
client = Posthog(key, host=url, gzip=gzip, on_error=lambda error, _: print("failed:", error), max_retries=1)
client.set(distinct_id="u1", properties={"country": "FR"})
client.capture("like", distinct_id="u1", properties={"video_id": "v1"})
client.capture("view_end", distinct_id="u1", properties={"video_id": "v1", "watch_ms": 9000, "duration_ms": 9000})
client.capture("$pageview", distinct_id="u1", properties={"$pathname": "/home"})
client.capture("Order Completed", distinct_id="u1")
client.shutdown()
