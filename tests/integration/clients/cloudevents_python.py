"""The CloudEvents library for Python, structured and binary, sent by requests."""

import sys

import requests
from cloudevents.v1.http import CloudEvent, to_binary, to_structured

url, key, mode = sys.argv[1:4]
convert = to_structured if mode == "structured" else to_binary
for kind, data in (("like", {}), ("view_end", {"watch_ms": 9000, "duration_ms": 9000}), ("order", {})):
    event = CloudEvent({"type": f"com.example.{kind}", "source": "/app", "subject": "v1"}, {"user_id": "u1", **data})
    headers, body = convert(event)
    headers["authorization"] = f"Bearer {key}"
    answer = requests.post(f"{url}/v1/events", data=body, headers=headers, timeout=9)
    if answer.status_code != (422 if kind == "order" else 202):
        print("failed:", answer.status_code, answer.text)
