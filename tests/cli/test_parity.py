"""`foryou parity`: what it prints, and what its exit code says."""

import io
import json
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from foryou.cli.app import app
from foryou.cli.demo_night import parity_line
from foryou.cli.parity import IN_CLICKHOUSE, Report, show
from foryou.features.definitions import VIEWS
from foryou.lake.night import Done, Night, save
from foryou.lake.parity_causes import CAUSES, MEANING
from foryou.lake.parity_days import NOT_HELD, NOTHING_LIVE, WHY, left_out
from foryou.lake.tables import Lake

from ..lake.delta_tables import add, commit, protocol

DAY = "2026-11-20"
D18, D19, D20 = (date(2026, 11, day) for day in (18, 19, 20))
run = CliRunner().invoke


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    return Lake(tmp_path / "lake")


def compared(lake, day=DAY, version=0, only_imported=None, tiles_compared=900, **causes):
    summary = Path(lake.gold("parity_summary"))
    row = {"view": "user_activity_v1", "compared": tiles_compared, "different": sum(causes.values())}
    row |= {} if only_imported is None else {"only_imported": only_imported}
    head = [protocol()] if version == 0 else []
    commit(summary, version, *head, add(summary, "a.parquet", [row | dict.fromkeys(CAUSES, 0) | causes], day))
    if tiles_compared == 0:
        return  # the night then makes no table of differences
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
    assert IN_CLICKHOUSE not in said.output


def test_explained_differences_are_good_and_their_causes_explained(lake):
    compared(lake, late=3, lag=1)
    said = run(app, ["parity", "--date", DAY])
    assert said.exit_code == 0, said.output
    assert "after the lateness bound" in said.output
    assert IN_CLICKHOUSE in said.output


@pytest.mark.parametrize("cause", ["code", "unknown"])
def test_code_and_unknown_fail_with_a_tile_to_look_at(lake, cause):
    compared(lake, late=3, **{cause: 1})
    said = run(app, ["parity"])
    assert said.exit_code == 2
    assert "uk_ann None, 60 s from 2026-11-18 11:06:40 UTC" in " ".join(said.output.split())
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


def night_of(lake, first, last, complete_through, left):
    parity = Done(1.0, {"rows": 0, "days_left_out": len(left), "left_out": left})
    save(lake.runs, Night(first, last, complete_through, {"parity": parity}, finished=True))


def test_a_day_that_the_night_left_out_cannot_be_compared_and_says_why(lake):
    left = left_out([D18, D19, D20], live=[D18, D19], compared=[D19])
    assert left == {"2026-11-18": NOT_HELD, "2026-11-20": NOTHING_LIVE}
    night_of(lake, D18, D20, 7, left)
    said = run(app, ["parity", "--date", DAY])
    assert (said.exit_code, said.output) == (1, f"{DAY} cannot be compared: {WHY[NOTHING_LIVE]}.\n")
    assert run(app, ["parity", "--date", "2026-11-18"]).output == f"{D18} cannot be compared: {WHY[NOT_HELD]}.\n"
    assert run(app, ["parity"]).output == said.output, "the newest"
    assert "has not compared 2026-11-19 yet" in run(app, ["parity", "--date", "2026-11-19"]).output


def test_the_newest_night_says_why_and_what_was_compared_is_shown(lake):
    night_of(lake, D20, D20, 9, {DAY: NOT_HELD})
    night_of(lake, D19, D20, 7, {DAY: NOTHING_LIVE})
    save(lake.runs, Night(D18, D18, 8, {"bronze": Done(1.0, {})}))
    assert WHY[NOT_HELD] in run(app, ["parity", "--date", DAY]).output
    compared(lake, late=3)
    assert run(app, ["parity", "--date", DAY]).exit_code == 0


def test_a_day_that_was_only_imported_is_no_difference_and_says_so(lake):
    compared(lake, only_imported=True, tiles_compared=0)
    said = run(app, ["parity", "--date", DAY])
    assert said.exit_code == 0, said.output
    assert f"Speed never saw {DAY}: only imported." in said.output
    assert "Every tile is the same" not in said.output
    assert json.loads(run(app, ["parity", "--json"]).output)["only_imported"] is True


def test_what_came_late_of_such_a_day_is_told_and_what_nobody_explains_fails(lake):
    compared(lake, only_imported=True, late=2)
    said = run(app, ["parity"])
    assert (said.exit_code, "2 late" in said.output) == (0, True)
    compared(lake, "2026-11-21", 1, only_imported=True, unknown=1)
    assert run(app, ["parity"]).exit_code == 2


def test_that_there_are_other_days_is_said(lake):
    compared(lake, late=1)
    assert "Others" not in run(app, ["parity"]).output
    compared(lake, "2026-11-21", 1)
    assert f"One day is shown. Others: {DAY} (`foryou parity --date {DAY}`)." in run(app, ["parity"]).output
    compared(lake, "2026-11-22", 2)
    told = "".join(run(app, ["parity"]).output.split())
    assert f"Others:2from{DAY}to2026-11-21(`foryouparity--date2026-11-21`)." in told


def shown(**causes):
    row = {"compared": 1_234_567, "different": 234_567} | dict.fromkeys(CAUSES, 0) | causes
    out = io.StringIO()
    views = tuple({"view": name} | row for name in VIEWS)
    show(Report(date(2026, 11, 20), views, ()), Console(file=out, width=80))
    return out.getvalue()


def test_the_table_fits_eighty_columns_and_cuts_no_word():
    said = shown(**dict.fromkeys(CAUSES, 123_456))
    assert max(map(len, said.splitlines())) <= 80
    assert "…" not in said
    for word in (*VIEWS, "compared", "different", "because of", *(f"123,456 {cause}" for cause in CAUSES), "1,234,567"):
        assert word in " ".join(said.replace("│", " ").split()), word


def test_causes_that_overlap_are_said_to_add_up_to_more():
    assert "they add up to more" in shown(late=234_567, lag=1)
    assert "they add up to more" not in shown(late=234_566, lag=1)
    assert MEANING["lag"][:40] in shown(lag=1)


def night_that_found(**wrote):
    found = {"rows": 900, "different": 0, "days": 2, "days_only_imported": 0, "days_left_out": 0} | wrote
    day = date(2026, 11, 20)
    return parity_line(Night(day, day, 0, {"parity": Done(1.0, found)}))


def test_the_demo_says_of_how_many_days_its_sentence_is_and_what_parity_shows():
    assert night_that_found() == (
        "Speed against batch, 2 days: 900 tiles compared, 0 differ. "
        "`foryou parity` shows one day, the newest, by view; `foryou parity --date D` any other."
    )
    assert "3 differ (2 late, 1 lag). " in night_that_found(different=3, late=2, lag=1)
    assert "2 differ (2 late, 1 lag; a tile can have several causes). " in night_that_found(different=2, late=2, lag=1)


def test_the_demo_names_days_that_were_only_imported_or_left_out():
    said = night_that_found(days=1, days_only_imported=4, days_left_out=1)
    assert "Speed against batch, 1 day: " in said
    assert "4 days only imported: speed never saw them. " in said
    assert "1 day left out: " in said
