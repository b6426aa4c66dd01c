"""What no person does is accepted, counted and kept apart; what people do is not, even when a phone was offline."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.collector.admission import Admission
from foryou.collector.flags import FLAGGED as FLAGGED_TYPES
from foryou.collector.flags import Flags
from foryou.contract.events import TYPES, Lane
from foryou.contract.gate import Gate
from foryou.contract.identity import Identity
from foryou.contract.schemas import schema
from foryou.contract.topics import FLAGGED
from foryou.service.gate_settings import load
from foryou.service.keys import Scope

from .conftest import NOW

ACTION = Lane.ACTION.value
HOUR = 3_600_000
UUID = "0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f"


def with_rules(collector, tmp_path, text):
    path = tmp_path / "gate.toml"
    path.write_text("[bots]\n" + text, "utf-8")
    collector.door._admission = Admission(load(path), lambda: 0.0)
    collector.keys_may([Scope.EVENTS_WRITE])  # an app's key, as it is in a phone
    return collector


def test_a_developers_key_may_be_as_fast_as_the_simulator(collector, tmp_path, like):
    with_rules(collector, tmp_path, "actions_per_s = 1\nactions_burst = 1\nwatch_burst_s = 1\n")
    collector.keys_may([Scope.ADMIN])
    collector.post([like(event_type="view_end", watch_ms=50_000) for _ in range(9)])
    assert flags(collector) == []


def flags(collector):
    return [record["flags"] for record in collector.records(FLAGGED)]


def test_a_robot_that_says_so_is_accepted_and_kept_apart(collector, like):
    agent = {"user-agent": "Mozilla/5.0 (compatible; SomeBot/2.1)"}
    answer = collector.ask("POST", "/v1/events", json.dumps(like()).encode(), agent)
    assert answer.status == 202
    assert (flags(collector), collector.records(ACTION)) == (["agent"], [])
    assert collector.metrics.value("foryou_collector_flagged_total", flag="agent") == 1
    assert collector.metrics.value("foryou_collector_accepted_total", lane=FLAGGED) == 1


@pytest.mark.parametrize("agent", ["curl/8.5.0", "okhttp/4.12", "python-httpx/0.28.1", "analytics-python/2.3", ""])
def test_a_client_that_programs_use_is_no_robot(collector, like, agent):
    collector.ask("POST", "/v1/events", json.dumps(like()).encode(), {"user-agent": agent})
    assert len(collector.records(ACTION)) == 1


@pytest.mark.parametrize(
    ("watched", "duration", "loops", "flagged"),
    [
        (10_000, 10_000, None, False),
        (30_500, 10_000, 2, False),
        (12_999, 10_000, 0, False),  # a player that counts a little too much
        (60_000, 10_000, 2, True),
        (60_000, 10_000, 9, False),
        (60_000, None, None, False),
    ],
)
def test_more_watched_than_the_video_is_long_is_impossible(collector, like, watched, duration, loops, flagged):
    event = like(event_type="view_end", watch_ms=watched, duration_ms=duration, loops=loops)
    assert collector.post(event).status == 202
    assert flags(collector) == ["watch"] * flagged


def test_more_watched_than_time_went_by_is_impossible_for_one_person(collector, tmp_path, like):
    with_rules(collector, tmp_path, "watch_burst_s = 60\nwatch_per_second = 1\n")
    views = [like(event_type="view_end", watch_ms=50_000, user_id=user) for user in ("u1", "u2", "u1")]
    collector.post(views)
    assert flags(collector) == ["watch"] and len(collector.records(ACTION)) == 2


def test_an_evening_offline_is_handed_over_at_once_and_is_no_robot(collector, tmp_path, like):
    with_rules(collector, tmp_path, "watch_burst_s = 60\nwatch_per_second = 1\nactions_per_s = 1\nactions_burst = 5\n")
    began = NOW - 2 * HOUR
    evening = [like(event_type="view_end", watch_ms=9_000, event_time=began + 10_000 * n) for n in range(500)]
    assert collector.post(evening).status == 202
    assert flags(collector) == []


def test_more_actions_than_fingers_have_is_impossible(collector, tmp_path, like):
    with_rules(collector, tmp_path, "actions_per_s = 1\nactions_burst = 3\n")
    collector.post([like(video_id=f"v{number}") for number in range(5)])
    assert flags(collector) == ["rate"] * 2


def test_an_id_that_comes_from_another_person_is_a_replay_and_a_retry_is_none(collector, like):
    for user in ("u1", "u1", "u2"):
        collector.post(like(event_id=UUID, user_id=user))
    assert flags(collector) == ["replay"] and len(collector.records(ACTION)) == 2


def test_more_people_on_a_device_than_a_family_are_kept_apart_and_the_family_is_not(collector, tmp_path, like):
    with_rules(collector, tmp_path, "people_per_device = 2\n")
    collector.post([like(user_id=user, device_id="d") for user in ("u1", "u2", "u3", "u1", "u3")])
    assert flags(collector) == ["fan_out"] * 2
    collector.post(like(user_id="u3", device_id="other"))
    assert len(collector.records(ACTION)) == 4


def test_flags_are_sorted_and_joined(collector, tmp_path, like):
    with_rules(collector, tmp_path, "people_per_device = 1\nactions_per_s = 1\nactions_burst = 1\n")
    body = [like(user_id=user, device_id="d") for user in ("u1", "u2", "u2")]
    collector.ask("POST", "/v1/events", json.dumps(body).encode(), {"user-agent": "spider"})
    assert flags(collector) == ["agent", "agent,fan_out", "agent,fan_out,rate"]


def test_words_by_which_people_protect_themselves_are_never_flagged(collector):
    protecting = set(TYPES) - FLAGGED_TYPES
    assert {"block", "unblock", "hide_creator", "not_interested", "report", "unfollow", "unlike"} <= protecting
    body = {"event_type": "block", "user_id": "u1", "target_user_id": "u2", "event_time": NOW}
    collector.ask("POST", "/v1/events", json.dumps(body).encode(), {"user-agent": "spider"})
    assert len(collector.records(ACTION)) == 1


def test_every_type_that_can_be_flagged_is_an_action():
    assert {TYPES[name].lane for name in FLAGGED_TYPES} == {Lane.ACTION}


def test_a_flagged_event_is_the_event_and_its_flags(collector, like):
    collector.post(like(event_id=UUID))
    other = UUID.replace("0190", "0191")
    collector.ask("POST", "/v1/events", json.dumps(like(event_id=other)).encode(), {"user-agent": "spider"})
    (plain,), (flagged,) = collector.records(ACTION), collector.records(FLAGGED)
    assert flagged == {**plain, "event_id": other, "flags": "agent"}
    assert schema("flagged")["fields"][:-1] == schema("event")["fields"]


def test_what_is_sent_again_is_what_it_was_and_no_faster(collector, tmp_path, like):
    with_rules(collector, tmp_path, "actions_per_s = 1\nactions_burst = 2\n")
    ids = [f"0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e{number:02x}" for number in range(3)]
    for _ in range(3):
        collector.post([like(event_id=event_id) for event_id in ids])
    assert [record["event_id"] for record in collector.records(ACTION)] == ids[:2] * 3
    assert [record["event_id"] for record in collector.records(FLAGGED)] == ids[2:] * 3


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=150))
def test_what_is_remembered_is_bounded(pairs):
    rules, gate = Flags(load().bots, entries=16), Gate(Identity(b"s" * 32))
    for user, device in pairs:
        event = {"event_type": "like", "user_id": f"u{user}", "device_id": f"d{device}", "video_id": "v"}
        rules.of(gate.check(json.dumps({**event, "event_time": NOW}).encode(), "demo", NOW), robot=False)
    assert len(rules._people) <= 2 and len(rules._ids) <= 16 and len(rules._rate) <= 16
