"""The Segment HTTP API: what its libraries send becomes our events, and they are told what they understand."""

import base64
import gzip
import json
import uuid

import pytest

from foryou.collector.protocols import segment
from foryou.collector.protocols.mapping import NAMESPACE

from .conftest import KEY, NOW

ACTION, CONTEXT, ACCOUNT = "events.action.v1", "events.context.v1", "events.account.v1"
AT = "2026-09-21T14:13:19.500Z"
BASIC = {"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}


def track(event, **changes) -> dict:
    call = {"type": "track", "event": event, "userId": "u1", "messageId": "m-1", "timestamp": AT}
    return call | changes


def send(collector, *calls, path="/v1/batch", headers=BASIC, **more):
    body = {"batch": calls, **more} if path == "/v1/batch" else calls[0]
    return collector.ask("POST", path, json.dumps(body).encode(), {"content-type": "application/json", **headers})


def said(record) -> dict:
    own = ("event_id", "app_id", "received_at", "user_key", "event_time")
    return {k: v for k, v in record.items() if v not in (None, {}) and k not in own}


def test_a_track_with_one_of_our_names_is_that_event(collector):
    answer = send(collector, track("Like", properties={"videoId": "v1", "position": 3, "color": "red"}), sentAt=AT)

    assert (answer.status, answer.json()) == (200, {"success": True, "accepted": 1, "rejected": 0})
    (record,) = collector.records(ACTION)
    assert record["event_id"] == str(uuid.uuid5(NAMESPACE, "segment\x1fm-1"))
    assert (record["event_time"], record["user_key"]) == (NOW - 500, collector.identity.user_key("demo", "u1"))
    assert said(record) == {
        "event_type": "like",
        "video_id": "v1",
        "position": 3,
        "sent_at": NOW - 500,
        "properties": {"color": "red"},
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Video Playback Started", "play_start"),
        ("Video Content Started", "play_start"),
        ("Video Content Playing", "play_progress"),
        ("Video Playback Paused", "play_progress"),
        ("Video Content Completed", "view_end"),
        ("Video Playback Completed", "view_end"),
        ("Video Playback Interrupted", "view_end"),
    ],
)
def test_segments_video_names_are_mapped(collector, name, kind):
    properties = {"asset_id": "v1", "session_id": "s1", "position": 12.5, "total_length": 30}
    send(collector, track(name, properties=properties))

    watched = {} if kind == "play_start" else {"watch_ms": 12_500}
    expected = {"event_type": kind, "video_id": "v1", "impression_id": "s1", "duration_ms": 30_000, **watched}
    assert [said(record) for record in collector.records(ACTION)] == [expected]


def test_the_player_and_the_content_of_one_playback_start_and_end_once(collector):
    properties = {"content_asset_ids": ["v1"], "session_id": "s1", "position": 1}
    names = ("Video Playback Started", "Video Content Started", "Video Content Completed", "Video Playback Completed")
    for number, name in enumerate(names):
        send(collector, track(name, properties=properties, messageId=f"m-{number}"))

    ids = [record["event_id"] for record in collector.records(ACTION)]
    assert len(ids) == 4 and ids[0] == ids[1] != ids[2] == ids[3]


def test_the_context_of_a_library_becomes_ours(collector):
    context = {
        "app": {"version": "4.2"},
        "device": {"id": "d9", "model": "Pixel 9"},
        "os": {"name": "Android", "version": "16"},
        "network": {"wifi": True, "cellular": False},
        "locale": "fr-FR",
        "location": {"country": "FR"},
        "sessionId": 1_790_000_000,
        "consent": {"categoryPreferences": {"analytics": True, "ads": False, "odd": "x"}},
    }
    send(collector, track("App Open", context=context, anonymousId="a1"))

    (record,) = collector.records(CONTEXT)
    assert said(record) == {
        "event_type": "app_open",
        "device_key": collector.identity.device_key("demo", "a1"),
        "session_id": "1790000000",
        "app_version": "4.2",
        "device_model": "Pixel 9",
        "os": "Android 16",
        "network": "wifi",
        "locale": "fr-FR",
        "region": "FR",
        "consent": "analytics",
    }


def test_identify_updates_the_profile(collector):
    traits = {"email": "x@example.org", "address": {"country": "DE"}, "locale": "de_DE", "birthday": "1999-05-01"}
    send(collector, {"type": "identify", "userId": "u1", "traits": traits, "timestamp": AT})

    assert [said(record) for record in collector.records(ACCOUNT)] == [
        {"event_type": "profile_updated", "region": "DE", "language": "de", "birth_year": 1999}
    ]


def test_a_page_is_an_opened_screen_and_somebodys_page_a_visit(collector):
    send(
        collector,
        {"type": "page", "name": "Home", "userId": "u1", "timestamp": AT, "properties": {"title": "x" * 300}},
        {"type": "screen", "name": "Profile", "userId": "u1", "timestamp": AT, "properties": {"profileId": "u2"}},
    )

    (opened,), (visit,) = collector.records(CONTEXT), collector.records(ACTION)
    assert opened["properties"]["screen"] == "Home"
    assert visit["target_user_key"] == collector.identity.user_key("demo", "u2")


@pytest.mark.parametrize("call", segment.CALLS[:4])
def test_every_call_has_a_path_of_its_own(collector, call):
    body = {"event": "app_open", "userId": "u1", "timestamp": AT, "writeKey": KEY}
    assert send(collector, body, path=f"/v1/{call}", headers={"authorization": ""}).status == 200
    assert collector.counted("accepted") == 1


@pytest.mark.parametrize("call", ["alias", "group"])
def test_what_has_no_counterpart_is_a_dead_letter_that_says_so(collector, call):
    answer = send(collector, {"userId": "u1", "previousId": "u0", "groupId": "g"}, path=f"/v1/{call}")

    assert (answer.status, answer.json()["rejected"]) == (200, 1)
    (letter,) = collector.rejected()
    assert (letter["reason"], letter["door"]) == ("no_mapping", f"/v1/{call}")


def test_a_refused_event_does_not_fail_its_batch_and_keeps_its_own_bytes(collector):
    bad = b'{"type":"track",  "event":"Order Completed","userId":"u1"}'
    good = json.dumps(track("like", properties={"video_id": "v1"})).encode()
    answer = collector.ask("POST", "/v1/batch", b'{"batch":[' + bad + b" , " + good + b"]}", BASIC)

    assert (answer.status, answer.json()) == (200, {"success": True, "accepted": 1, "rejected": 1})
    (letter,) = collector.rejected()
    assert (letter["reason"], letter["body"], letter["door"]) == ("no_mapping", bad, "/v1/batch")
    assert "Order Completed" in letter["detail"] and "docs/protocols.md" in letter["detail"]


def test_the_bytes_of_a_dead_letter_are_a_batch_of_one(collector):
    call = track("like", properties={"video_id": "v1"})
    answer = collector.ask("POST", "/v1/batch", json.dumps(call).encode(), BASIC)

    assert (answer.status, collector.counted("accepted")) == (200, 1)
    assert json.loads(segment.again_as(None)(json.dumps(call).encode(), NOW))["video_id"] == "v1"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream", ""])
def test_gzip_under_a_wrong_content_type_is_taken(collector, content_type):
    body = gzip.compress(json.dumps({"batch": [track("app_open")], "writeKey": KEY}).encode())
    answer = collector.ask("POST", "/v1/batch", body, {"content-type": content_type, "authorization": ""})

    assert (answer.status, collector.counted("accepted")) == (200, 1)


def test_without_a_key_it_is_a_401_with_what_the_libraries_show(collector):
    answer = send(collector, track("app_open"), headers={"authorization": ""})

    told = answer.json()
    assert (answer.status, told["code"], told["field"]) == (401, "unauthorized", "writeKey")
    assert told["message"] and told["remedy"] and collector.log.records == []


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"not json", 400, "$"),
        (b"", 400, "$"),
        (b"[]", 400, "$"),
        (b'{"batch":{}}', 400, "$.batch"),
        (b'{"batch":[]}', 400, "batch"),
        (b'{"batch":[' + b"[" * 100 + b"]}", 400, "$"),
        (b'{"batch":[{}],"writeKey":5}', 400, "$.writeKey"),
        (b'{"batch":[' + b"{}," * 1000 + b"{}]}", 413, "batch"),
    ],
)
def test_a_malformed_body_is_refused_whole(collector, body, status, field):
    answer = collector.ask("POST", "/v1/batch", body, BASIC)

    told = answer.json()
    assert (answer.status, told["field"]) == (status, field), told
    assert told["remedy"] and told["message"] and told["success"] is False
    assert len(collector.rejected()) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"timestamp": "soon"}, "event_time"),
        ({"userId": {"a": 1}}, "user_id"),
        ({"userId": None}, "user_id"),
        ({"properties": {"videoId": []}}, "video_id"),
        ({"properties": []}, "video_id"),
        ({"properties": {"video_id": "v1", "position": -1}}, "position"),
    ],
)
def test_an_event_that_breaks_the_contract_is_a_dead_letter_with_the_field(collector, changes, field):
    assert send(collector, track("like", **{"properties": {"video_id": "v1"}, **changes})).status == 200
    assert [letter["field"] for letter in collector.rejected()] == [field]


def test_extras_are_cut_to_what_the_contract_takes(collector):
    properties = {"video_id": "v1", "nested": {"a": [1]}, "long": "x" * 999, "": "no name", "none": None}
    send(collector, track("like", properties=properties | {f"p{i}": i for i in range(40)}))

    (record,) = collector.records(ACTION)
    kept = record["properties"]
    assert (len(kept), kept["nested"], len(kept["long"]), kept["p0"]) == (32, '{"a":[1]}', 256, "0")


def test_kafka_down_is_a_503_so_that_the_library_sends_again(collector):
    collector.log.fail_next()
    answer = send(collector, track("app_open"))

    assert (answer.status, answer.headers["retry-after"], answer.json()["code"]) == (503, "1", "unavailable")
