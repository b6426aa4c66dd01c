"""What a night says: while it works, and of what it wrote."""

import io
from datetime import date

import pytest
from rich.console import Console

from foryou.cli.night_summary import summary, utc
from foryou.cli.nightly import _progress
from foryou.lake.night import STEPS, Done, Night
from foryou.lake.parity_causes import CAUSES

WROTE = {
    "bronze": {"rows": 12_345_678, "imports": 1, "topics": {"events.action.v1": 7}},
    "silver": {"rows": 12_345_678, "days": 7, "unreadable": 0},
    "tiles": {"rows": 1_234_567, "days": 7, "views": {}},
    "trends": {"rows": 1_234, "days": 6},
    "embeddings": {
        **{"rows": 201_234, "version": "2026-11-28-0123456789abcdef", "pushed": 1_234},
        **{"users": 1_234, "videos": 200_000, "creators": 27_285, "metrics": {"recall": 0.5}},
    },
    "publish": {"rows": 123_456, "days": 5, "cutoff": 1_795_835_525_000, "views": {}},
    "parity": {
        **{"rows": 123_456, "different": 1_234, **dict.fromkeys(CAUSES, 0), "late": 1_200, "lag": 34},
        **{"days": 2, "days_only_imported": 4, "days_left_out": 0},
    },
    "training": {"rows": 12_345, "days": 7, "outcomes": {}},
    "analytics": {"rows": 1_234_567, "days": 7},
}


def a_night(first=date(2026, 11, 23), last=date(2026, 11, 28), **more):
    wrote = {name: told | more.get(name, {}) for name, told in WROTE.items()}
    return Night(first, last, 0, {name: Done(123.4, told) for name, told in wrote.items()})


def shown(night, width):
    out = io.StringIO()
    Console(file=out, width=width).print(summary(night))
    return out.getvalue()


def words(said):
    return " ".join(said.replace("│", " ").split())


@pytest.mark.parametrize("width", [80, 85, 90, 100])
def test_no_word_is_cut_at_any_width(width):
    said = shown(a_night(), width)
    assert max(map(len, said.splitlines())) <= width
    whole = set(words(said).replace(",", " ").split())
    for told in WROTE.values():
        for name, value in told.items():
            if name in ("users", "videos", "creators", "version", "pushed", "unreadable", "imports", "different"):
                assert name in whole
                assert f"{value:,}" in words(said) if isinstance(value, int) else value in whole
    assert "…" not in said


def test_a_cut_off_is_a_time():
    assert utc(1_795_835_525_000) == "2026-11-28 03:12:05"
    said = words(shown(a_night(), 160))
    assert "cut-off 2026-11-28 03:12:05 UTC" in said
    assert "1795835525000" not in said


def test_what_the_days_of_a_step_are_is_said():
    said = words(shown(a_night(), 160))
    assert "Night 2026-11-23_2026-11-28: 6 days" in said
    assert "days made 7, unreadable 0" in said
    assert "days compared 2, days only imported 4, days left out 0" in said
    assert "days labelled (with the one before) 7" in said
    assert "6 days asked for, 7 made: earlier days that late events or imports changed are made again, too." in said


def test_as_many_days_as_were_asked_for_need_no_word():
    assert "asked for" not in shown(a_night(tiles={"days": 6}), 160)


def test_a_cause_that_no_tile_has_is_left_out():
    said = words(shown(a_night(), 160))
    assert "late 1,200, lag 34, days compared" in said
    assert "unknown" not in said


@pytest.mark.parametrize("terminal", [True, False])
def test_a_step_is_named_when_it_begins(terminal):
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=terminal, _environ={"TERM": "xterm"})
    with _progress(console, STEPS[0]):
        assert "bronze" in out.getvalue()
        assert "take what came" in out.getvalue()
    assert " 0 s" in out.getvalue()


def test_where_nothing_can_be_drawn_anew_a_step_is_two_lines():
    out = io.StringIO()
    with _progress(Console(file=out, force_terminal=True, _environ={"TERM": "dumb"}), STEPS[0]):
        assert out.getvalue() == "  bronze            …  take what came: topics and imports\n"
    assert out.getvalue().splitlines()[1:] == ["  bronze          0 s  take what came: topics and imports"]
