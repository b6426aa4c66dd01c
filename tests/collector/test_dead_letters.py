"""Dead letters: sealed, told apart, and once more through the door that they came by."""

import asyncio
import json
from urllib.parse import unquote

import pytest

from foryou.cli.replaying import REPLAY_HEADER, Letter, Replayed, Told, Wanted, replay
from foryou.collector import letters
from foryou.contract.events import Lane
from foryou.contract.fingerprint import contract_fingerprint
from foryou.contract.gate import Gate, Refused
from foryou.contract.topics import REJECTED, TOPICS
from foryou.service.keys import Scope
from foryou.service.testing import ask, known_keys

from .conftest import NOW

ACTION = Lane.ACTION.value
UUID = "0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f"


class Strict(Gate):
    """A rule that is too strict: it takes no video of ann's."""

    def check(self, raw, app_id, now_ms, event_id=None):
        if b"v-ann" in raw:
            return Refused("bad_value", "video_id", "no videos of ann's", "send others")
        return super().check(raw, app_id, now_ms, event_id)


@pytest.fixture
def strict(collector):
    collector.door._gate = Strict(collector.identity)
    return collector


def mend(collector):
    collector.door._gate = collector.gate


def lying(collector) -> list[Letter]:
    return [Letter(0, offset, record) for offset, record in enumerate(collector.records(REJECTED))]


def replayed(collector, tmp_path, chosen=None):
    """What becomes of each letter, through the collector's own router."""
    callers = known_keys({"replayer": "demo"})

    def post(app_id, method, path, headers, body):
        collector.door._callers, before = callers, collector.door._callers
        named = {**headers, "authorization": "Bearer replayer"}
        answer = asyncio.run(ask(collector.router, method, unquote(path), body, named))
        collector.door._callers = before
        return Told(answer.status, answer.json().get("reason", ""))

    with Replayed(tmp_path / "dlq" / "replayed") as done:
        return [outcome.what for outcome in replay(chosen or lying(collector), done, collector.seal, post)]


def test_a_letter_shows_why_and_hides_what(strict, like):
    strict.post([like(video_id="v-ann", user_id="raw-anna")])
    (letter,) = strict.records(REJECTED)
    assert (letter["reason"], letter["field"], letter["door"]) == ("bad_value", "video_id", "/v1/events")
    assert letter["contract"] == contract_fingerprint()
    assert b"raw-anna" not in strict.stored()
    assert json.loads(strict.seal.open(letter["body"]))["user_id"] == "raw-anna"


def test_ids_in_a_path_are_sealed_too(collector):
    collector.ask("PUT", "/v1/users/raw-anna", b'{"birth_year":"old"}')
    (letter,) = lying(collector)
    assert b"raw-anna" not in collector.stored()
    assert letter.way(collector.seal).path == "/v1/users/raw-anna"


def test_letters_are_kept_for_seven_days():
    assert TOPICS[REJECTED].retention_hours == 7 * 24


def test_after_the_rule_is_mended_a_letter_is_accepted_once_bit_for_bit(strict, tmp_path, like):
    strict.post([like(event_id=UUID, video_id="v-ann", watch_ms=5), like(video_id="v-ben")])
    body = lying(strict)[0].body(strict.seal)
    assert replayed(strict, tmp_path) == ["refused"]
    mend(strict)
    assert replayed(strict, tmp_path) == ["replayed"]
    assert replayed(strict, tmp_path) == ["already"]
    accepted = [record for record in strict.records(ACTION) if record["video_id"] == "v-ann"]
    direct = strict.gate.check(body, "demo", NOW).record
    assert [{name: record[name] for name in direct} for record in accepted] == [direct]
    assert len(strict.records(REJECTED)) == 1


def test_a_letter_that_is_refused_again_writes_no_second_letter_and_is_counted_once(strict, tmp_path, like):
    strict.post([like(video_id="v-ann")])
    counted = [strict.counted(what) for what in ("received", "rejected")]
    assert [replayed(strict, tmp_path) for _ in range(3)] == [["refused"]] * 3
    assert len(strict.records(REJECTED)) == 1
    assert [strict.counted(what) for what in ("received", "rejected")] == counted == [1, 1]


def test_a_letter_of_a_protocol_that_says_200_to_everything_is_refused_again_and_stays(collector, tmp_path):
    assert collector.ask("POST", "/v1/track", b'{"event":"Order Completed","userId":"u1"}').status == 200
    assert replayed(collector, tmp_path) == ["refused"]
    assert replayed(collector, tmp_path) == ["refused"]
    assert len(lying(collector)) == 1


def test_copies_of_a_letter_are_one_letter(strict, tmp_path, like):
    strict.post(like(video_id="v-ann", event_id=None))
    mend(strict)
    (letter,) = lying(strict)
    assert replayed(strict, tmp_path, [letter, Letter(0, 7, letter.record)]) == ["replayed", "already"]


def test_an_event_without_an_id_gets_the_same_one_at_every_replay(strict, tmp_path, like):
    strict.post([like(video_id="v-ann")])
    mend(strict)
    replayed(strict, tmp_path)
    replayed(strict, tmp_path / "forgotten")  # a crash before the line was written: the letter goes out again
    ids = [record["event_id"] for record in strict.records(ACTION)]
    assert len(ids) == 2 and len(set(ids)) == 1


def test_a_line_of_a_batch_in_lines_is_replayed_as_the_event_that_it_was(strict, tmp_path, like):
    strict.post(json.dumps(like(video_id="v-ann")).encode() + b"\n", "application/x-ndjson")
    mend(strict)
    assert replayed(strict, tmp_path) == ["replayed"]
    assert [record["video_id"] for record in strict.records(ACTION)] == ["v-ann"]


def test_a_body_that_could_not_be_split_is_replayed_as_a_body(collector, tmp_path, like, monkeypatch):
    monkeypatch.setattr("foryou.collector.split.MAX_BATCH", 1)
    collector.post([like(video_id="v1"), like(video_id="v2")])
    assert replayed(collector, tmp_path) == ["refused"]
    monkeypatch.setattr("foryou.collector.split.MAX_BATCH", 2)
    assert replayed(collector, tmp_path) == ["replayed"]
    assert sorted(record["video_id"] for record in collector.records(ACTION)) == ["v1", "v2"]
    assert len({record["event_id"] for record in collector.records(ACTION)}) == 2


def test_a_body_in_an_encoding_is_sent_again_in_it(collector, tmp_path, like):
    body = json.dumps(like()).encode()
    collector.ask("POST", "/v1/events", body, {"content-type": "application/json", "content-encoding": "br"})
    way = lying(collector)[0].way(collector.seal)
    assert (way.content_encoding, way.whole) == ("br", True)
    assert replayed(collector, tmp_path) == ["refused"]  # 415 again: it was not taken for a body without encoding


def test_of_a_body_that_passes_in_part_the_rest_are_new_letters(strict, tmp_path, like, monkeypatch):
    monkeypatch.setattr("foryou.collector.split.MAX_BATCH", 1)
    strict.post([like(video_id="v-ann"), like(video_id="v2")])
    monkeypatch.setattr("foryou.collector.split.MAX_BATCH", 2)
    assert replayed(strict, tmp_path) == ["replayed"]
    assert [letter.body(strict.seal) for letter in lying(strict)[1:]] == [json.dumps(like(video_id="v-ann")).encode()]
    mend(strict)
    assert replayed(strict, tmp_path) == ["already", "replayed"]


def test_a_side_door_is_gone_through_again_with_the_ids_of_its_path(collector, tmp_path):
    collector.ask("PUT", "/v1/users/a%2541 b/follows/é", b'{"seq":-1}')
    assert collector.rejected()[0]["reason"] == "bad_value"
    collector.door._gate = type("Mild", (Gate,), {"check": _without_seq})(collector.identity)
    assert replayed(collector, tmp_path) == ["replayed"]
    (record,) = collector.records(ACTION)
    assert record["target_user_key"] == collector.identity.user_key("demo", "é")


def _without_seq(self, raw, app_id, now_ms, event_id=None):
    event = json.loads(raw)
    del event["seq"]
    return Gate.check(self, json.dumps(event).encode(), app_id, now_ms, event_id)


def test_what_was_not_kept_whole_is_not_replayed(collector, tmp_path):
    collector.post(b"x" * (letters.KEPT_BYTES + 1))
    (letter,) = lying(collector)
    assert letter.cut and len(letter.body(collector.seal)) == letters.KEPT_BYTES
    assert replayed(collector, tmp_path) == ["cut"]


def test_a_letter_of_before_that_is_not_sealed_is_replayed_too(collector, tmp_path, like):
    old = {"rejected_at": NOW, "app_id": "demo", "door": "/v1/events", "reason": "r", "detail": "d", "event_id": None}
    letter = Letter(0, 9, {**old, "field": None, "body": json.dumps(like()).encode()})
    assert replayed(collector, tmp_path, [letter]) == ["replayed"]
    assert len(collector.records(ACTION)) == 1


def test_whoever_may_not_replay_cannot_choose_ids_or_keep_letters_from_being_written(collector):
    collector.door._callers = known_keys({"fy_test": "demo"}, [Scope.EVENTS_WRITE])
    collector.ask("POST", "/v1/events", b"[{}]", {REPLAY_HEADER: "t/0/0 event"})
    assert len(collector.rejected()) == 1


def test_the_two_sides_speak_of_the_same_header():
    assert letters.REPLAY_HEADER == REPLAY_HEADER


def test_a_full_collector_stops_the_replay_and_nothing_is_marked(strict, tmp_path, like):
    strict.post([like(video_id="v-ann"), like(video_id="v-ann2")])
    mend(strict)
    strict.log.fail_next()
    assert replayed(strict, tmp_path) == ["not now"]
    assert replayed(strict, tmp_path) == ["replayed", "replayed"]


def test_a_torn_line_of_the_marks_forgets_that_letter_alone(tmp_path):
    letter, other = (Letter(0, offset, {"rejected_at": 1}) for offset in (1, 2))
    path = tmp_path / "dlq" / "replayed"
    with Replayed(path) as done:
        done.add(letter)
        done.add(other)
    path.write_text(path.read_text()[:-3])
    with Replayed(path) as done:
        assert (letter in done, other in done) == (True, False)
        done.add(other)
    with Replayed(path) as done:
        assert (letter in done, other in done) == (True, True)


def test_a_kafka_that_was_made_anew_has_other_letters_at_the_same_places(tmp_path):
    with Replayed(tmp_path / "replayed") as done:
        done.add(Letter(0, 1, {"rejected_at": 1}))
        assert Letter(0, 1, {"rejected_at": 2}) not in done


def test_filters_pick_what_fits_all_that_is_said():
    record = {"rejected_at": 5, "app_id": "demo", "reason": "r", "field": "f", "door": "/v1/events"}
    letter = Letter(0, 3, record)
    fitting = [Wanted(), Wanted("demo", "r", "f", "/v1/events", 5, frozenset(("0/3",))), Wanted(reason="r")]
    others = [Wanted(app_id="x"), Wanted(reason="x"), Wanted(field="x"), Wanted(since_ms=6)]
    others.append(Wanted(places=frozenset(("0/4",))))
    assert [wish.fits(letter) for wish in fitting + others] == [True] * 3 + [False] * 5
