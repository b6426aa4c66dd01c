"""RudderStack's library for Python, which packs by default: only the data plane is ours."""

import sys

from rudderstack.analytics.client import Client

url, key, gzip = sys.argv[1], sys.argv[2], sys.argv[3] == "gzip"
client = Client(key, host=url, gzip=gzip, max_retries=1, on_error=lambda error, _: print("failed:", error))
client.identify("u1", {"country": "FR"})
client.track("u1", "Like", {"video_id": "v1"}, anonymous_id="d1", message_id="own-id")
client.track("u1", "Video Content Completed", {"asset_id": "v1", "session_id": "s1", "position": 9, "total_length": 9})
client.page("u1", "Feed", "Home", {"url": "https://example.org/"})
client.track("u1", "Order Completed", {})
client.shutdown()
