"""CloudEvents 1.0 at the door of events: structured, batched, binary."""

import json
import uuid

import pytest

from foryou.collector.protocols import cloudevents
from foryou.collector.protocols.mapping import NAMESPACE

from .conftest import NOW

ACTION = "events.action.v1"
ONE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


def event(**changes) -> dict:
    said = {
        "specversion": "1.0",
        "id": "a-1",
        "source": "/app",
        "type": "com.example.like",
        "subject": "v1",
        "time": "2026-09-21T14:13:19Z",
        "data": {"user_id": "u1"},
    } | changes
    return {name: value for name, value in said.items() if value is not None}


def test_a_structured_event_is_ours(collector):
    answer = collector.post(event(), ONE)

    event_id = str(uuid.uuid5(NAMESPACE, "cloudevents\x1f/app\x1fa-1"))
    assert (answer.status, answer.json()) == (202, {"accepted": 1, "event_ids": [event_id]})
    (record,) = collector.records(ACTION)
    assert (record["event_type"], record["video_id"], record["event_time"]) == ("like", "v1", NOW - 1000)
    assert record["user_key"] == collector.identity.user_key("demo", "u1")


def test_the_same_id_of_the_same_source_is_the_same_event(collector):
    ids = [
        collector.post(event(**changes), ONE).json()["event_ids"][0]
        for changes in ({}, {"data": {"user_id": "u2"}}, {"source": "/other"}, {"id": "a-2"})
    ]
    assert ids[0] == ids[1] and len(set(ids)) == 3


def test_an_id_that_is_a_uuid_stays(collector):
    said = "0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f"
    assert collector.post(event(id=said), ONE).json()["event_ids"] == [said]


def test_a_batch_keeps_its_good_events_and_the_bytes_of_its_bad_ones(collector):
    bad = '{"specversion":"1.0",  "id":"x","source":"/app","type":"nonsense"}'
    body = f"[{json.dumps(event())}, {bad} ]".encode()
    answer = collector.post(body, BATCH)

    assert (answer.status, answer.json()["results"][1]["field"]) == (207, "event_type")
    assert [letter["body"] for letter in collector.rejected()] == [bad.encode()]


def test_binary_mode_reads_attributes_from_headers_and_fields_from_the_body(collector):
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "view_end", "ce-subject": "v%201"}
    body = b'{"user_id":"u1","watch_ms":1200}'
    answer = collector.ask("POST", "/v1/events", body, {**headers, "content-type": "application/json"})

    assert answer.status == 202
    (record,) = collector.records(ACTION)
    assert (record["video_id"], record["watch_ms"], record["event_time"]) == ("v 1", 1200, NOW)


def test_a_refused_binary_event_is_kept_with_its_headers_as_the_structured_event_that_means_the_same(collector):
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "view_end", "ce-subject": "v1"}
    body = b'{"user_id": "u1",  "watch_ms":-1}'
    answer = collector.ask("POST", "/v1/events", body, {**headers, "content-type": "application/json"})

    assert (answer.status, answer.json()["field"]) == (422, "watch_ms")
    (letter,) = collector.rejected()
    assert json.loads(letter["body"])["type"] == "view_end" and b'{"user_id": "u1",  "watch_ms":-1}' in letter["body"]
    mended = letter["body"].replace(b"-1", b"71")
    assert b'"watch_ms":71' in cloudevents.again(mended, NOW)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [("follow", "target_user_key", "key"), ("search", "query", "c1"), ("duet", "video_id", "c1")],
)
def test_the_subject_is_what_the_type_is_about(collector, kind, field, value):
    assert collector.post(event(type=kind, subject="c1"), ONE).status == 202
    expected = collector.identity.user_key("demo", "c1") if value == "key" else value
    assert collector.records(ACTION)[0][field] == expected


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"source": ""}, "source"),
        ({"specversion": None}, "specversion"),
        ({"specversion": "0.3"}, "specversion"),
        ({"type": 5}, "type"),
        ({"type": "org.nonsense"}, "event_type"),
        ({"data": [1]}, "data"),
        ({"data": "text"}, "data"),
        ({"data": None, "data_base64": "!"}, "data_base64"),
        ({"data": None, "data_base64": 7}, "data_base64"),
        ({"time": "yesterday"}, "event_time"),
        ({"subject": ["v"]}, "video_id"),
        ({"data": {}}, "user_id"),
        ({"data": {"user_id": "u1", "context": "wifi"}}, "context"),
    ],
)
def test_a_bad_event_is_a_422_that_names_the_attribute_and_the_remedy(collector, changes, field):
    answer = collector.post(event(**changes), ONE)

    assert (answer.status, answer.json()["field"]) == (422, field), answer.json()
    assert answer.json()["remedy"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (b"[]", BATCH, 400, "empty"),
        (b"{}", BATCH, 400, "not_json"),
        (b"[1", BATCH, 400, "not_json"),
        (b"[" * 5_000, BATCH, 400, "too_deep"),
        (b"{}", "application/cloudevents+xml", 415, "bad_content_type"),
        (b"{}", ONE + "; charset=latin-1", 415, "bad_content_type"),
        (b"not json", ONE, 400, "not_json"),
        (b"[" + b"{}," * 1000 + b"{}]", BATCH, 413, "too_many_events"),
    ],
)
def test_a_body_without_events_is_refused_whole(collector, body, content_type, status, reason):
    answer = collector.post(body, content_type)

    assert (answer.status, answer.json()["reason"]) == (status, reason)
    assert answer.json()["field"] and answer.json()["remedy"]
    assert len(collector.rejected()) == 1
