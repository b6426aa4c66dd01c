"""What apps are told when they post events."""

import base64
import json

import pytest

from foryou.contract.events import MAX_BATCH, MAX_BODY_BYTES
from foryou.contract.gate import Gate
from foryou.contract.never_stored import NeverStored
from foryou.service.keys import Scope

from .conftest import KEY, NOW

ACTION, CONTEXT = "events.action.v1", "events.context.v1"
UUID = "0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f"


def test_one_event_is_accepted_and_lies_in_its_lane_without_raw_ids(collector, like):
    answer = collector.post(
        like(event_id=UUID.upper(), device_id="d1", context={"os": "ios", "device": "x"}, properties={"a": "b"})
    )

    user_key = collector.identity.user_key("demo", "u1")
    assert (answer.status, answer.json()) == (202, {"accepted": 1, "event_ids": [UUID]})
    assert collector.keys(ACTION) == [f"demo|{user_key}"]
    (record,) = collector.records(ACTION)
    assert {name: value for name, value in record.items() if value not in (None, {})} == {
        "event_id": UUID,
        "app_id": "demo",
        "event_type": "like",
        "user_key": user_key,
        "device_key": collector.identity.device_key("demo", "d1"),
        "video_id": "v1",
        "event_time": NOW - 50,
        "received_at": NOW,
        "os": "ios",
        "device_model": "x",
        "properties": {"a": "b"},
    }


def test_an_event_without_id_gets_one(collector, like):
    (event_id,) = collector.post(like()).json()["event_ids"]

    assert collector.records(ACTION)[0]["event_id"] == event_id and len(event_id) == 36


def test_a_viewer_without_account_is_known_by_device(collector, like):
    collector.post(like(user_id=None, device_id="d1"))

    (record,) = collector.records(ACTION)
    assert record["user_key"] == record["device_key"] == collector.identity.device_key("demo", "d1")


def test_a_key_that_we_gave_out_comes_back_as_itself(collector, like):
    key = collector.identity.user_key("demo", "creator")
    collector.post(like(event_type="follow", target_user_id=key))

    assert collector.records(ACTION)[0]["target_user_key"] == key


def test_granted_purposes_are_sorted_and_refused_ones_left_out(collector, like):
    collector.post(like(consent={"b": True, "a": True, "c": False}))

    assert collector.records(ACTION)[0]["consent"] == "a,b"


@pytest.mark.parametrize("sent", ["2026-09-21T14:13:20Z", "2026-09-21T14:13:20.000+00:00", "2026-09-21T16:13:20+02:00"])
def test_times_may_be_rfc_3339(collector, like, sent):
    assert collector.post(like(event_time=sent, sent_at=sent)).status == 202

    (record,) = collector.records(ACTION)
    assert (record["event_time"], record["sent_at"]) == (1_790_000_000_000, 1_790_000_000_000)


@pytest.mark.parametrize(
    ("content_type", "shape"),
    [
        ("application/json", lambda events: json.dumps(events)),
        ("application/json; charset=utf-8", lambda events: json.dumps(events, indent=2)),
        ("", lambda events: f" \n{json.dumps(events)}\n"),
        ("application/x-ndjson", lambda events: "\n".join(map(json.dumps, events))),
        ("application/x-ndjson", lambda events: "\r\n".join(map(json.dumps, events)) + "\r\n\r\n"),
        ("application/json", lambda events: "\n".join(map(json.dumps, events)) + "\n"),
    ],
)
def test_a_batch_is_an_array_or_an_event_per_line(collector, like, content_type, shape):
    events = [like(video_id="v1"), like(event_type="app_open", video_id=None), like(video_id="v2")]
    answer = collector.post(shape(events).encode(), content_type)

    assert (answer.status, answer.json()["accepted"]) == (202, 3)
    assert [record["video_id"] for record in collector.records(ACTION)] == ["v1", "v2"]
    assert [record["event_type"] for record in collector.records(CONTEXT)] == ["app_open"]


def test_one_event_may_be_spread_over_lines(collector, like):
    assert collector.post(json.dumps(like(), indent=2).encode()).json()["accepted"] == 1


def test_a_batch_keeps_the_good_events_and_says_which_were_refused_where_and_why(collector, like):
    bad = like(event_id=UUID, video_id=None)
    answer = collector.post([like(), bad, like()])

    assert answer.status == 207
    results = answer.json()["results"]
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 1)
    assert [result["status"] for result in results] == ["accepted", "rejected", "accepted"]
    assert results[1] == {
        "index": 1,
        "status": "rejected",
        "event_id": UUID,
        "reason": "missing_field",
        "field": "video_id",
        "detail": "like needs video_id",
        "remedy": "send video_id with every like",
    }
    (letter,) = collector.rejected()
    assert letter == {
        "rejected_at": NOW,
        "app_id": "demo",
        "event_id": UUID,
        "door": "/v1/events",
        "reason": "missing_field",
        "field": "video_id",
        "detail": "like needs video_id; send video_id with every like",
        "body": json.dumps(bad).encode(),
    }


@pytest.mark.parametrize(
    "poison", [b"NaN", b'{"a":NaN}', b'{"a" 1}', b'"\xff"', b'{"s":"\\ud800"}', b"nul", b"{]"[:1] + b"}"]
)
def test_one_event_that_is_no_json_does_not_hold_back_its_batch(collector, like, poison):
    good = json.dumps(like()).encode()
    answer = collector.post(b"[" + good + b" , " + poison + b",\n" + good + b"]")

    assert (answer.status, answer.json()["accepted"]) == (207, 2)
    assert [letter["body"] for letter in collector.rejected()] == [poison]


def test_when_none_is_accepted_the_answer_is_a_problem_with_every_reason(collector, like):
    answer = collector.post([like(video_id=None), like(event_type="lick")])

    told = answer.json()
    assert (answer.status, told["field"]) == (422, "$[0].video_id")
    assert [result["reason"] for result in told["results"]] == ["missing_field", "unknown_type"]


@pytest.mark.parametrize(
    "scheme", [f"Bearer {KEY}", f"bearer  {KEY}", "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()]
)
def test_the_write_key_comes_as_bearer_or_as_the_basic_user(collector, like, scheme):
    for _ in range(2):
        answer = collector.ask("POST", "/v1/events", json.dumps(like()).encode(), {"authorization": scheme})
        assert answer.status == 202


@pytest.mark.parametrize("scheme", ["", "Bearer nope", "Bearer", "Basic !!", "Basic /w==", "Digest x", KEY])
def test_without_a_known_write_key_the_answer_is_401_and_says_where_to_find_it(collector, like, scheme):
    answer = collector.ask("POST", "/v1/events", json.dumps(like()).encode(), {"authorization": scheme})

    assert (answer.status, answer.json()["field"]) == (401, "authorization")
    assert "foryou status" in answer.json()["remedy"] and "Bearer" in answer.headers["www-authenticate"]
    assert collector.log.records == [] and KEY not in answer.body.decode()


def test_a_body_of_ten_megabytes_is_a_413(collector):
    answer = collector.post(b"x" * 10_000_000)

    assert (answer.status, answer.json()["field"]) == (413, "body")


def test_more_events_than_a_post_may_hold_are_a_413_counted_and_kept(collector):
    answer = collector.post(b"[" + b",".join([b"{}"] * (MAX_BATCH + 1)) + b"]")

    assert (answer.status, answer.json()["reason"]) == (413, "too_many_events")
    assert collector.counted("rejected") == MAX_BATCH + 1 and len(collector.rejected()) == 1
    assert collector.metrics.value("foryou_collector_dead_letters_total") == 1


def test_the_dead_letter_of_a_huge_body_is_bounded_and_says_so(collector):
    collector.post(b"[" + b"x" * (MAX_BODY_BYTES - 1))

    (letter,) = collector.rejected()
    assert len(letter["body"]) == 256 << 10 and "of 1,048,576 bytes" in letter["detail"]


def test_a_log_that_takes_nothing_is_a_503_with_retry_after_and_nothing_counted(collector, like):
    collector.log.fail_next()
    answer = collector.post([like(), like(video_id=None)])

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert collector.counted("received") == 0 and collector.log.records == []
    assert collector.post(like()).status == 202


def test_a_full_log_is_a_503_before_the_body_is_read_and_in_healthz(collector):
    collector.log.up = False

    answer = collector.post(b"x" * 10_000_000)  # read, it would be a 413
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["waiting_for"] == ["room in the log"]
    assert collector.ask("GET", "/healthz").json()["waiting_for"] == ["room in the log"]


def test_the_equation_holds_by_lane(collector, like):
    collector.post([like(), like(event_type="app_open"), like(seq=-1), like(video_id=None)])
    collector.post(b"not json")

    value = collector.metrics.value
    assert value("foryou_collector_accepted_total", lane=ACTION) == 1
    assert value("foryou_collector_accepted_total", lane=CONTEXT) == 1
    assert value("foryou_collector_rejected_total", lane=ACTION) == 1  # its type could be read
    assert value("foryou_collector_rejected_total", lane="unknown") == 2
    assert collector.counted("received") == collector.counted("accepted") + collector.counted("rejected") == 5
    assert value("foryou_collector_dead_letters_total") == len(collector.rejected()) == 3


def test_a_key_without_the_right_to_write_events_gets_a_403_that_names_it(collector, like):
    collector.keys_may([Scope.FEED_READ])
    answer = collector.post(like())
    assert (answer.status, answer.json()["reason"]) == (403, "missing_scope")
    assert "events:write" in answer.json()["detail"]
    assert not collector.log.records and collector.counted("received") == 0


def test_a_property_that_is_never_stored_is_taken_out_and_counted(collector, like):
    collector.door._gate = Gate(collector.identity, NeverStored(["email"], ["password"]))
    assert collector.post(like(properties={"E-Mail": "a@b.c", "genre": "x", "db_password": "y"})).status == 202
    assert collector.records(ACTION)[0]["properties"] == {"genre": "x"}
    removed = "foryou_collector_removed_properties_total"
    assert [collector.metrics.value(removed, rule=rule) for rule in ("email", "password")] == [1, 1]
    assert b"a@b.c" not in collector.stored()
