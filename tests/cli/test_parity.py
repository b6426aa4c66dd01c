"""`foryou parity`: what it prints, and what its exit code says."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foryou.cli.app import app
from foryou.lake.parity_causes import CAUSES
from foryou.lake.tables import Lake

from ..lake.delta_tables import add, commit, protocol

DAY = "2026-11-20"
run = CliRunner().invoke


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    return Lake(tmp_path / "lake")


def compared(lake, day=DAY, version=0, **causes):
    summary = Path(lake.gold("parity_summary"))
    row = {"view": "user_activity_v1", "compared": 900, "different": sum(causes.values())}
    head = [protocol()] if version == 0 else []
    commit(summary, version, *head, add(summary, "a.parquet", [row | dict.fromkeys(CAUSES, 0) | causes], day))
    tiles = Path(lake.gold("parity"))
    row = {"view": "user_activity_v1", "app_id": "demo", "entity": "uk_ann", "facet": None, "tile_ms": 60_000}
    row |= {"tile_start": 1_795_000_000_000, "speed": '{"n":2}', "batch": '{"n":3}'}
    rows = [row | {"causes": [cause]} for cause, count in causes.items() for _ in range(count)]
    commit(tiles, version, *head, *([add(tiles, "a.parquet", rows, day)] if rows else []))


def test_equal_layers_are_good(lake):
    compared(lake)
    said = run(app, ["parity"])
    assert said.exit_code == 0, said.output
    assert "Every tile is the same" in said.output


def test_explained_differences_are_good_and_their_causes_explained(lake):
    compared(lake, late=3, lag=1)
    said = run(app, ["parity", "--date", DAY])
    assert said.exit_code == 0, said.output
    assert "after the lateness bound" in said.output


@pytest.mark.parametrize("cause", ["code", "unknown"])
def test_code_and_unknown_fail_with_a_tile_to_look_at(lake, cause):
    compared(lake, late=3, **{cause: 1})
    said = run(app, ["parity"])
    assert said.exit_code == 2
    assert "uk_ann" in said.output
    assert '{"n":2}' in said.output


def test_the_newest_day_is_told_and_programs_get_json(lake):
    compared(lake, late=1)
    compared(lake, "2026-11-21", 1, late=2)
    told = json.loads(run(app, ["parity", "--json"]).output)
    assert (told["day"], told["good"], told["views"][0]["late"]) == ("2026-11-21", True, 2)
    assert json.loads(run(app, ["parity", "--json", "--date", DAY]).output)["views"][0]["late"] == 1


def test_a_day_that_was_not_compared_says_so(lake):
    assert run(app, ["parity"]).exit_code == 1
    compared(lake)
    assert run(app, ["parity", "--date", "2026-01-01"]).exit_code == 1
    assert run(app, ["parity", "--date", "yesterday"]).exit_code == 2
