"""PostHog's capture API: what its libraries send becomes our events, and they are told what they understand."""

import base64
import gzip
import json
from urllib.parse import urlencode

import pytest

from .conftest import KEY, NOW

ACTION, CONTEXT, ACCOUNT = "events.action.v1", "events.context.v1", "events.account.v1"
AT = "2026-09-21T14:13:19.500Z"
UUID = "0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f"
NO_HEADER = {"authorization": ""}


def event(name, **changes) -> dict:
    return {"event": name, "distinct_id": "u1", "uuid": UUID, "timestamp": AT, "properties": {}} | changes


def send(collector, *events, path="/batch/", **more):
    body = json.dumps({"api_key": KEY, "batch": events, "sent_at": AT, **more}).encode()
    return collector.ask("POST", path, body, NO_HEADER)


def test_a_batch_is_taken_by_the_key_in_its_body(collector):
    answer = send(collector, event("like", properties={"video_id": "v1", "$lib": "x", "color": "red"}))

    assert (answer.status, answer.json()) == (200, {"status": 1, "accepted": 1, "rejected": 0})
    (record,) = collector.records(ACTION)
    assert (record["event_id"], record["event_time"], record["video_id"]) == (UUID, NOW - 500, "v1")
    assert record["user_key"] == collector.identity.user_key("demo", "u1")
    assert record["properties"] == {"color": "red"}


def test_a_person_known_by_device_only_is_that_device(collector):
    send(collector, event("app_open", distinct_id="d1", properties={"$device_id": "d1", "$session_id": "s1"}))

    (record,) = collector.records(CONTEXT)
    assert record["user_key"] == record["device_key"] == collector.identity.device_key("demo", "d1")
    assert record["session_id"] == "s1"


def test_identify_and_pageview_have_their_counterparts(collector):
    send(
        collector,
        event("$identify", properties={"$set": {"country": "FR"}}),
        event("$pageview", properties={"$pathname": "/home", "$os": "iOS", "$os_version": "26"}),
    )
    assert [record["region"] for record in collector.records(ACCOUNT)] == ["FR"]
    (opened,) = collector.records(CONTEXT)
    assert (opened["event_type"], opened["properties"], opened["os"]) == ("app_open", {"screen": "/home"}, "iOS 26")


@pytest.mark.parametrize("name", ["$autocapture", "$like", "Order Completed", None, 7])
def test_what_has_no_counterpart_is_a_dead_letter_and_its_batch_goes_on(collector, name):
    answer = send(collector, event(name), event("app_open"))

    assert (answer.status, answer.json()["accepted"], answer.json()["rejected"]) == (200, 1, 1)
    assert [letter["reason"] for letter in collector.rejected()] == ["no_mapping"]


@pytest.mark.parametrize("path", ["/capture/", "/capture", "/e/", "/i/v0/e/", "/batch"])
def test_a_single_event_is_taken_too(collector, path):
    body = json.dumps(event("app_open") | {"token": KEY}).encode()
    assert collector.ask("POST", path, body, NO_HEADER).status == 200
    assert collector.counted("accepted") == 1


@pytest.mark.parametrize(
    "pack",
    [
        lambda b: b.decode(),
        lambda b: base64.b64encode(b).decode(),
        lambda b: base64.b64encode(gzip.compress(b)).decode(),
    ],
)
def test_a_form_as_browsers_send_it_is_taken(collector, pack):
    raw = json.dumps([event("app_open", properties={"token": KEY})]).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", **NO_HEADER}
    assert collector.ask("POST", "/e/", urlencode({"data": pack(raw)}).encode(), headers).status == 200
    assert collector.counted("accepted") == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{}", 401), (b"x", 400), (b"", 400), (b'{"batch":7}', 400), (b'{"api_key":"nobody","batch":[{}]}', 401)],
)
def test_a_bad_body_names_the_field_and_the_remedy(collector, body, status):
    answer = collector.ask("POST", "/batch/", body, NO_HEADER)
    assert answer.status == status and answer.json()["field"] and answer.json()["remedy"] and answer.json()["detail"]
    assert collector.log.records == []
