"""`foryou trace`: what it prints is never cut short, offsets least of all; and an import that waits is found."""

import json
from datetime import date, timedelta

import httpx
import pytest
from rich.console import Console

from foryou.cli import screen
from foryou.cli.trace import NOT_LIVE, Hop, Trace, show, with_the_past
from foryou.contract.identity import Identity
from foryou.lake.history import Order, import_history
from foryou.lake.sources import source
from foryou.lake.tables import Lake
from foryou.service.settings import Settings

AT = 1_795_000_000_123
TODAY = date(2026, 11, 18)
EVENT_ID = "0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f"
TILE = {"tile_ms": 60_000, "tile_start": AT, "salt": 3, "epoch": 1, "n": 17}
HOPS = (
    Hop("accepted", AT, "events.action.v1[11]@1234567890", {"event_type": "view_end", "received_at": AT}),
    Hop("tile video_engagement_v1", AT + 700, "features.video_engagement.v1[11]@1234567890", TILE),
)
TRACE = Trace(EVENT_ID, HOPS, ())


@pytest.mark.parametrize("width", [80, 100])
def test_in_a_narrow_terminal_it_is_folded(width, monkeypatch, capsys):
    monkeypatch.setattr(screen, "wide", lambda: Console(width=width))
    show(TRACE, as_json=False, today=TODAY)
    lines = capsys.readouterr().out.splitlines()
    assert "…" not in "".join(lines) and max(map(len, lines)) <= width
    begin, end = lines[1].index("where"), lines[1].index("detail")
    assert "".join(line[begin:end].strip() for line in lines[2:]) == "".join(hop.where for hop in HOPS)


def test_in_a_pipe_each_hop_is_a_line(capsys):
    show(TRACE, as_json=False, today=TODAY)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert lines == [
        ["accepted", "11:06:40.123", "0", HOPS[0].where, "event_type=view_end", f"received_at={AT}"],
        ["tile", "video_engagement_v1", "11:06:40.823", "700", HOPS[1].where, *(f"{k}={v}" for k, v in TILE.items())],
    ]


def test_times_of_another_day_stand_with_their_dates(capsys):
    show(TRACE, as_json=False, today=TODAY + timedelta(days=1))
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line[line.index("2026") :][:23] for line in lines] == ["2026-11-18 11:06:40.123", "2026-11-18 11:06:40.823"]


@pytest.fixture
def no_clickhouse(monkeypatch):
    def away(*_, **__):
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx, "post", away)


def test_an_event_that_waits_in_the_inbox_is_found_until_a_night_takes_it(tmp_path, no_clickhouse, capsys):
    lake, path = Lake(tmp_path / "lake"), tmp_path / "past.ndjson"
    like = {"event_type": "like", "user_id": "u", "video_id": "v", "event_time": AT, "event_id": EVENT_ID}
    share = {**like, "event_type": "share", "event_id": EVENT_ID[:-1] + "0", "properties": {"answers": EVENT_ID}}
    path.write_text("".join(json.dumps(each) + "\n" for each in (share, like)), "utf-8")
    told = import_history(lake, Identity(b"s" * 32), Order((source(path, None),), "demo", AT))

    found = with_the_past(Settings(home=tmp_path), Trace(EVENT_ID, (), ("accepted",)))
    waits = f"it waits in the inbox of import {told.import_id}; `foryou nightly` takes it"
    assert found == Trace(
        EVENT_ID,
        (
            Hop(
                "inbox",
                AT,
                f"import.events.action.v1.{told.import_id}[0]@1",
                {"import": told.import_id, "event_type": "like"},
            ),
        ),
        (),
        (NOT_LIVE, f"the lake's tables ({waits})"),
    )
    show(found, as_json=False)
    assert waits in capsys.readouterr().out

    (lake.inbox / told.import_id / ".taken").touch()
    assert with_the_past(Settings(home=tmp_path), Trace(EVENT_ID, (), ("accepted",))).hops == ()


def test_when_kafka_was_not_asked_nothing_is_said_of_it(capsys):
    show(Trace(EVENT_ID, (), ("accepted",)), as_json=False, live=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "Kafka was not asked" in said and "neither accepted nor rejected" not in said
