"""`foryou dlq`: what it is asked for must be something that there can be; its tables fit, its sentences are whole."""

from datetime import UTC, date, datetime
from itertools import pairwise

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from foryou.cli import dlq
from foryou.cli.app import app
from foryou.cli.replaying import Letter, Replayed
from foryou.contract.reasons import REASONS
from foryou.service.settings import Settings

TODAY = date(2026, 11, 30)
NOON_MS = int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp() * 1_000)
HOUR_MS = 3_600_000


@pytest.mark.parametrize("command", [("list",), ("replay", "--all")])
def test_a_reason_that_no_letter_can_have_is_refused_with_those_that_they_have(command):
    said = CliRunner().invoke(app, ["dlq", *command, "--reason", "zzz"])
    words = " ".join(said.output.replace("│", " ").split())
    assert said.exit_code == 2 and "no letter has the reason zzz: there are" in words
    assert [reason for reason in REASONS if reason not in words] == []


def letter(n=0, **said):
    record = {
        "rejected_at": NOON_MS - n * HOUR_MS,
        "app_id": "demo",
        "door": "/v1/events",
        "reason": "time_out_of_range",
        "field": "context.session_id",
        "detail": "the event is of tomorrow; mend the clock",
        "contract": "0123456789ab",
        "body": b"{}",
        "sealed_by": None,
    }
    return Letter(n % 4, 1_105 + n, record | said)


@pytest.fixture
def done(tmp_path):
    with Replayed(tmp_path / "replayed") as marks:
        yield marks


def lines_of(letters, done, width):
    console = Console(width=width)
    with console.capture() as said:
        console.print(dlq.table(letters, done, TODAY, width))
    assert "…" not in said.get() and max(map(len, said.get().splitlines())) <= width
    return said.get().splitlines()


def listed(letters, done, width):
    return [line.split() for line in lines_of(letters, done, width)]


@pytest.mark.parametrize("replayed", [0, 7])
def test_130_letters_are_whole_on_80_columns(done, replayed):
    letters = [letter(n) for n in range(130)]
    for one in letters[:replayed]:
        done.add(one)
    mark = ["✓"] if replayed else []
    lines = listed(letters, done, 80)
    words = ["demo", "/v1/events", "time_out_of_range", "context.session_id"]
    assert lines[0] == ["place", "time", "app", "door", "reason", "field", *mark]
    assert lines[1:3] == [["0/1105", "12:00:00", *words, *mark], ["1/1106", "11:00:00", *words, *mark]]
    assert lines[-1] == ["1/1234", "11-25", "03:00", *words] and len(lines) == 131


def test_what_is_too_long_for_80_columns_is_broken_and_not_cut(done):
    door, field = "/com.snowplowanalytics.snowplow/tp2", "properties.a_rather_long_name_of_a_property"
    head, *lines = lines_of([letter(app_id="a" * 64, door=door, field=field)], done, 80)
    starts = [head.index(title) for title in ("app", "door", "reason", "field")]
    columns = ["".join(line[a:b].strip() for line in lines) for a, b in pairwise([*starts, 80])]
    assert lines[0][: starts[0]].split() == ["0/1105", "12:00:00"]
    assert columns == ["a" * 64, door, "time_out_of_range", field]


def test_what_all_letters_have_in_common_is_said_once(done):
    letters = [letter(n) for n in range(3)]
    assert dlq.under(letters, done, 80) == dlq.under(letters, done, 120)
    assert dlq.under(letters, done, 80) == "contract of all: 0123456789ab; none replayed"
    done.add(letters[0])
    assert dlq.under(letters, done, 80) == "contract of all: 0123456789ab; ✓ replayed: 1"
    assert dlq.under([], done, 80) == ""


def test_contracts_that_differ_have_a_column_where_there_is_room_for_it(done):
    letters = [letter(), letter(1, contract="ba9876543210", rejected_at=NOON_MS - 24 * HOUR_MS), letter(2)]
    done.add(letters[1])
    words = ["demo", "/v1/events", "time_out_of_range", "context.session_id"]
    assert listed(letters, done, 120)[2] == ["1/1106", "11-29", "12:00:00", *words, "ba9876543210", "yes"]
    assert listed(letters, done, 80)[2] == ["1/1106", "11-29", "12:00", *words, "✓"]
    assert dlq.under(letters, done, 80) == "contracts: 2, `foryou dlq show` says which; ✓ replayed: 1"
    assert dlq.under(letters, done, 120) == ""


def test_a_letter_is_shown_with_its_time_in_utc(tmp_path, monkeypatch):
    monkeypatch.setattr(dlq, "live_settings", lambda: Settings(home=tmp_path))
    monkeypatch.setattr(dlq, "_letters", lambda *_: iter([letter(rejected_at=1_796_034_091_527)]))
    said = CliRunner().invoke(app, ["dlq", "show", "0/1105"]).stderr.splitlines()
    assert said[:2] == ["rejected_at: 2026-11-30 10:21:31.527 UTC", "app_id: demo"]
    assert "detail: the event is of tomorrow; mend the clock" in said


ONE = {"reason": "missing_field", "field": "query", "detail": "search needs query", "remedy": "send query"}
SENTENCE = "missing_field at query: search needs query; send query"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ONE, SENTENCE),
        (
            {"detail": "all 1 events were refused", "reason": "missing_field", "results": [{"index": 0, **ONE}]},
            SENTENCE,
        ),
        ({**ONE, "results": [ONE, ONE]}, SENTENCE),
        ({"reason": "not_json"}, "not_json"),
    ],
)
def test_a_letter_that_is_refused_again_says_what_would_mend_it(tmp_path, monkeypatch, answer, told):
    settings = Settings(home=tmp_path)
    (refused,) = [letter(app_id="demo")]
    collector = httpx.Client(
        base_url="http://collector", transport=httpx.MockTransport(lambda _: httpx.Response(422, json=answer))
    )
    monkeypatch.setattr(dlq, "live_settings", lambda: settings)
    monkeypatch.setattr(dlq, "_letters", lambda *_: iter([refused]))
    monkeypatch.setattr(dlq.httpx, "Client", lambda **_: collector)
    said = CliRunner().invoke(app, ["dlq", "replay", "0/1105"])
    assert (said.exit_code, said.stdout) == (1, f"      0/1105  refused  {told}\n")
