"""`foryou events watch`: a line per event that fits, what is refused with its remedy, and filters."""

import io
import json
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException
from rich.console import Console
from typer.testing import CliRunner

from foryou.cli import events
from foryou.cli.app import app
from foryou.cli.events import Wanted, line_of

AT = 1_790_000_000_123
GOOD = {
    "event_type": "view_end",
    "app_id": "demo",
    "user_key": "uk_0123456789012345678901",
    "device_key": "dk_0123456789012345678901",
    "video_id": "v" * 128,
    "watch_ms": 1500,
    "received_at": AT,
}
LETTER = {
    "app_id": "demo",
    "rejected_at": AT,
    "door": "/v1/batch",
    "reason": "missing_field",
    "field": "watch_ms",
    "detail": "view_end needs watch_ms; send watch_ms with every view_end",
    "body": b'{"event_type":"view_end"}',
}


def test_a_good_event_is_one_line_of_80_columns():
    line = line_of(GOOD, False, 80).plain

    assert len(line) == 80 and line.startswith("14:13:20.123 ok view_end        vvvvv")
    assert "uk_012345678" in line and "watch_ms=1500" in line_of(GOOD, False, 200).plain


def test_a_refused_event_says_reason_field_and_remedy_in_full():
    assert line_of(LETTER, True, 80).plain == (
        "14:13:20.123 no missing_field at watch_ms 'view_end': view_end needs watch_ms; "
        "send watch_ms with every view_end (demo, /v1/batch)"
    )


def test_what_a_client_wrote_cannot_move_the_cursor():
    line = line_of({**LETTER, "detail": "a\x1b[2Jb\n", "body": b'{"event":"\\u001b[31m"}'}, True, 80).plain
    assert "\x1b" not in line and "\n" not in line


@pytest.mark.parametrize(
    ("wanted", "good", "refused"),
    [
        (Wanted(), True, True),
        (Wanted(app_id="demo"), True, True),
        (Wanted(app_id="other"), False, False),
        (Wanted(event_type="view_end"), True, True),
        (Wanted(event_type="like"), False, False),
        (Wanted(user_key=GOOD["user_key"]), True, False),
        (Wanted(user_key=GOOD["device_key"]), True, False),
        (Wanted(user_key="uk_x"), False, False),
        (Wanted(refused_only=True), False, True),
    ],
)
def test_filters_choose(wanted, good, refused):
    assert (wanted.fits(GOOD, False), wanted.fits(LETTER, True)) == (good, refused)


def test_a_type_that_is_none_is_refused_with_those_that_are():
    said = CliRunner().invoke(app, ["events", "watch", "--type", "zzz"])
    words = " ".join(said.output.replace("│", " ").split())
    assert said.exit_code == 2 and "there is no event type zzz: there are impression, play_start" in words


def test_what_is_refused_may_call_itself_anything(monkeypatch):
    monkeypatch.setattr(events, "live_settings", lambda: 1 / 0)  # as far as it comes
    said = CliRunner().invoke(app, ["events", "watch", "--type", "zzz", "--refused"])
    assert isinstance(said.exception, ZeroDivisionError)


def test_bytes_that_cannot_be_read_have_no_type():
    assert not Wanted(event_type="like").fits({**LETTER, "body": b"\xff"}, True)
    assert "no missing_field at watch_ms: view_end" in line_of({**LETTER, "body": b"\xff"}, True, 80).plain


class Lane:
    """A consumer of one lane: an event, then Kafka is away, then another event."""

    def __init__(self):
        self._there, self._rounds, self._asked = None, 0, 0

    def connected(self, kafka, group, there):
        self._there = there
        return self

    def list_topics(self, timeout):
        self._asked += 1
        if self._asked == 2:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(topics={"events.action.v1": SimpleNamespace(partitions={0: None})})

    def get_watermark_offsets(self, place, timeout):
        return 0, 7

    def assign(self, places):
        assert [place.offset for place in places] == [7]

    def consume(self, number, timeout):
        self._rounds += 1
        if self._rounds == 2:
            self._there.doubt(KafkaError(KafkaError._ALL_BROKERS_DOWN))
            return []
        message = {"error": None, "value": b'{"n": %d}' % self._rounds, "topic": "events.action.v1"}
        return [SimpleNamespace(**{name: lambda item=item: item for name, item in message.items()})]

    def close(self):
        pass


def test_who_watches_hears_that_kafka_went_and_sees_the_events_after_it(monkeypatch, capsys):
    monkeypatch.setattr(events, "follower", Lane().connected)
    following = events.follow("127.0.0.1:9092", json.loads, Console(file=io.StringIO()))
    assert [next(following) for _ in range(3)] == [({"n": n}, False) for n in (1, 3, 4)]
    assert capsys.readouterr().err == (
        "Kafka at 127.0.0.1:9092 does not answer any more; waiting for it. `foryou up` starts it.\nKafka is back.\n"
    )
