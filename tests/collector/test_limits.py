"""What is one too many: by key, by day, by device. received = accepted + rejected + limited, in every lane."""

import json

import pytest

from foryou.collector.admission import Admission
from foryou.contract.events import Lane
from foryou.service.callers import Callers
from foryou.service.gate_settings import load
from foryou.service.keys import EVERY_SCOPE, KeyRing, key_of
from foryou.service.testing import FixedKeys, known_tokens

from .conftest import KEY, NOW, Collector


def limits(tmp_path, text):
    path = tmp_path / "gate.toml"
    path.write_text(text, "utf-8")
    return load(path)


def collector_with(tmp_path, text="", quota=None):
    collector = Collector()
    collector.now_s = 0.0
    collector.door._admission = Admission(limits(tmp_path, text), lambda: collector.now_s)
    key = key_of(KEY, "demo", EVERY_SCOPE, 0, quota_per_day=quota)
    collector.door._callers = Callers(FixedKeys(KeyRing((key,))), known_tokens(), lambda: NOW)
    return collector


def counted(collector, what, lane):
    return collector.metrics.value(f"foryou_collector_{what}_total", lane=lane)


def test_a_key_that_sends_too_much_gets_a_429_and_nothing_is_stored_or_a_dead_letter(tmp_path, like):
    collector = collector_with(tmp_path, "[key]\nper_s = 10\nburst = 10\n")
    batch = [like(video_id=f"v{number}") for number in range(6)]
    assert collector.post(batch).status == 202
    answer = collector.post(batch)
    assert (answer.status, answer.json()["reason"], answer.headers["retry-after"]) == (429, "rate_limited", "1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(collector.log.records) == 6
    assert [counted(collector, what, "unknown") for what in ("received", "limited")] == [6, 6]
    collector.now_s += 1
    assert collector.post(batch).status == 202


def test_a_days_quota_is_a_429_until_the_day_is_over(tmp_path, like):
    collector = collector_with(tmp_path, quota=3)
    assert collector.post([like(), like()]).status == 202
    answer = collector.post([like(), like()])
    assert (answer.status, collector.post(like()).status, collector.post(like()).status) == (429, 202, 429)
    assert int(answer.headers["retry-after"]) == (86_400_000 - NOW % 86_400_000 + 999) // 1_000
    assert answer.json()["detail"] == "this key may send 1 more of its 3 events a day, and this post has 2"
    assert answer.json()["remedy"].startswith("send at most 1 in a post now")
    assert "used up" in collector.post(like()).json()["detail"]


def test_a_device_that_sends_too_much_is_held_back_and_its_neighbours_are_not(tmp_path, like):
    collector = collector_with(tmp_path, "[device]\nper_s = 1\nburst = 2\n")
    answer = collector.post([like(device_id=device, video_id=f"v{n}") for n in range(3) for device in ("d1", "d2")])
    said = answer.json()
    assert (answer.status, said["accepted"], said["rejected"], said["limited"]) == (207, 4, 0, 2)
    assert [result["status"] for result in said["results"]] == ["accepted"] * 4 + ["limited"] * 2
    assert {result["reason"] for result in said["results"][4:]} == {"rate_limited"}
    assert not collector.rejected()
    assert counted(collector, "limited", Lane.ACTION.value) == 2


def test_when_all_that_came_was_too_much_the_answer_is_a_429(tmp_path, like):
    collector = collector_with(tmp_path, "[device]\nper_s = 0.5\nburst = 1\n")
    assert collector.post(like(device_id="d")).status == 202
    for body in (like(device_id="d"), [like(device_id="d"), like(device_id="d")]):
        answer = collector.post(body)
        assert (answer.status, answer.headers["retry-after"]) == (429, "2")
    assert len(collector.log.records) == 1


def test_a_protocol_that_cannot_say_which_takes_none_of_a_post_that_is_too_much(tmp_path):
    collector = collector_with(tmp_path, "[device]\nper_s = 1\nburst = 1\n")
    item = b'{"type":"track","event":"like","userId":"u1","properties":{"video_id":"v1"}}'
    answer = collector.ask("POST", "/v1/batch", b'{"batch":[' + item + b"," + item + b"]}")
    assert (answer.status, answer.headers["retry-after"], collector.log.records) == (429, "1", [])
    assert [counted(collector, what, "unknown") for what in ("received", "limited")] == [2, 2]


def test_without_a_device_the_user_is_the_device(tmp_path, like):
    collector = collector_with(tmp_path, "[device]\nper_s = 1\nburst = 1\n")
    assert [collector.post(like(user_id=user)).status for user in ("u1", "u2", "u1")] == [202, 202, 429]


def test_the_catalogue_and_accounts_have_no_device(tmp_path):
    collector = collector_with(tmp_path, "[device]\nper_s = 1\nburst = 1\n")
    assert [collector.ask("DELETE", f"/v1/videos/v{n}").status for n in range(3)] == [202] * 3
    assert [collector.ask("PUT", "/v1/users/u1", b'{"region":"FR"}').status for _ in range(3)] == [202] * 3


def test_an_event_that_is_held_back_keeps_its_id_and_passes_later(tmp_path, like):
    collector = collector_with(tmp_path, "[device]\nper_s = 1\nburst = 1\n")
    event = like(device_id="d", event_id="0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f")
    collector.post(like(device_id="d"))
    assert collector.post(event).status == 429
    collector.now_s += 1
    assert collector.post(event).json()["event_ids"] == [event["event_id"]]


def test_the_equation_holds_in_every_lane_whatever_is_held_back(tmp_path, like):
    collector = collector_with(tmp_path, "[device]\nper_s = 1\nburst = 3\n[key]\nper_s = 1\nburst = 40\n")
    for _ in range(9):
        collector.post([like(device_id="d"), like(device_id="e", video_id=None), like(event_type="app_open")])
        collector.post(b"not json")
    collector.post([like(device_id=f"d{n}") for n in range(50)])
    lanes = [*(lane.value for lane in Lane), "unknown"]
    books = {
        lane: [counted(collector, what, lane) for what in ("received", "accepted", "rejected", "limited")]
        for lane in lanes
    }
    assert all(received == sum(rest) for received, *rest in books.values()), books
    assert books[Lane.ACTION.value][3] and books["unknown"][3]


@pytest.mark.parametrize("path", ["/v1/users/u1/follows/u2"])
def test_the_side_doors_are_limited_too(tmp_path, path):
    collector = collector_with(tmp_path, "[key]\nper_s = 1\nburst = 1\n")
    assert [collector.ask("PUT", path).status for _ in range(2)] == [202, 429]


def test_a_403_or_429_says_no_raw_id_and_no_key(tmp_path, like, caplog):
    collector = collector_with(tmp_path, "[device]\nper_s = 1\nburst = 1\n")
    answers = [collector.post(like(user_id="raw-anna", device_id="raw-phone")) for _ in range(2)]
    assert answers[1].status == 429
    assert "raw-" not in json.dumps(answers[1].json()) and "raw-" not in caplog.text and KEY not in caplog.text
