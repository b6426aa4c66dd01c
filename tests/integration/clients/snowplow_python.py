"""Snowplow's tracker for Python: the endpoint is ours, the app id is the write key."""

import sys

from snowplow_tracker import Emitter, PageView, SelfDescribing, SelfDescribingJson, StructuredEvent, Subject, Tracker

url, key, method = sys.argv[1:4]
MEDIA = "iglu:com.snowplowanalytics.snowplow.media"


def said(name, data):
    return SelfDescribingJson(f"{name}/jsonschema/1-0-0", data)


emitter = Emitter(url, method=method, on_failure=lambda sent, failed: print("failed:", sent, failed))
subject = Subject()
subject.set_user_id("u1")
tracker = Tracker(namespace="t", emitters=emitter, app_id=key, subject=subject, encode_base64=method == "post")
playing = [
    said(f"{MEDIA}/media_player", {"currentTime": 9, "duration": 9, "label": "v1", "ended": True, "paused": True}),
    said(f"{MEDIA}/session", {"mediaSessionId": "s1", "timePlayed": 9.0}),
]
tracker.track(StructuredEvent(category="feed", action="like", label="v1"))
tracker.track(SelfDescribing(event_json=said(f"{MEDIA}/end_event", {}), context=playing))
tracker.track(PageView(page_url="https://example.org/", page_title="Home"))
tracker.track(StructuredEvent(category="shop", action="order"))
emitter.flush()
