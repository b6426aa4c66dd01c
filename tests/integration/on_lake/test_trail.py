"""An event is followed through the lake: its copies, the row silver kept, its clean row, the tiles that count it."""

import time

import pytest
from typer.testing import CliRunner

from foryou.cli.app import app
from foryou.features.definitions import VIEWS
from foryou.lake.ledger import Place
from foryou.lake.trail import trail

from ..live_lake import NOW

ACTION = "events.action.v1"
pytestmark = pytest.mark.timeout(900)


def copied(live):
    """An event with a copy: its places."""
    places = {}
    for event in live.accepted:
        if event["event_type"] == "view_end":
            places.setdefault(event["event_id"], []).append((Place(ACTION, 0), event["source_offset"]))
    return next((id_, at) for id_, at in places.items() if len(at) == 2)


def test_an_event_and_its_copy_are_found_at_every_step(live):
    event_id, (first, second) = copied(live)
    steps = trail(live.lake, event_id, NOW, [second])
    names = [step.name for step in steps]
    assert names[:4] == ["bronze", "bronze", "silver", "clean row"]
    assert {step.detail.get("copy_of") for step in steps[:2]} == {None, event_id}
    assert steps[2].detail["kept"] == f"{ACTION}[0]@{first[1]}"
    tiles = {name.removeprefix("batch tile ") for name in names[4:]}
    assert tiles <= set(VIEWS)
    assert {"user_activity_v1", "video_engagement_v1", "video_history_v1"} <= tiles


def test_it_is_found_without_a_hint_when_it_happened_and_quickly(live):
    event_id, _ = copied(live)
    began = time.monotonic()
    assert [step.name for step in trail(live.lake, event_id, None)] == [
        step.name for step in trail(live.lake, event_id, NOW)
    ]
    assert time.monotonic() - began < 5


def test_who_is_not_there_has_no_steps(live, tmp_path):
    assert trail(live.lake, "01a00000-0000-7000-8000-000000000000", NOW) == []
    assert trail(type(live.lake)(tmp_path / "nothing"), "01a00000-0000-7000-8000-000000000000", NOW) == []


def test_the_command_needs_no_stack_for_what_the_lake_has(live, monkeypatch):
    event_id, _ = copied(live)
    monkeypatch.setenv("FORYOU_HOME", str(live.lake.root.parent))
    monkeypatch.setenv("FORYOU_PORT_OFFSET", "3900")
    said = CliRunner().invoke(app, ["trace", event_id, "--json"])
    assert said.exit_code == 0, said.output
    assert "silver/events" in said.output
