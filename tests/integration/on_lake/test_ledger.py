"""The books of a lake: every record is found again, and a hole is found where it is made."""

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from foryou.cli.app import app
from foryou.cli.ledger import keep_books
from foryou.lake import books, days
from foryou.lake.delta_files import live_files, read
from foryou.lake.ledger import IN_FLIGHT, Hole, Place
from foryou.lake.topic_spans import Span
from foryou.service.settings import Settings

from ..live_lake import NOW

DAY = date(2026, 9, 21)
ACTION = Place("events.action.v1", 0)
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def settings(live):
    return Settings.load({"FORYOU_HOME": str(live.lake.root.parent), "FORYOU_PORT_OFFSET": "3900"})


def lines_of(made_books, hop):
    return {line.place: line for line in made_books.lines if line.hop == hop}


def test_a_whole_lake_has_no_hole(live, settings):
    made_books = keep_books(settings, DAY, NOW)
    assert made_books.good
    ids = [event["event_id"] for event in live.accepted if event["event_type"] != "app_open"]
    silver = lines_of(made_books, books.SILVER)[ACTION]
    assert silver.left == len(ids)
    assert silver.right == {"silver": len(set(ids)), "copies": len(ids) - len(set(ids)), "unreadable": 0, IN_FLIGHT: 0}
    today = {event["event_id"] for event in live.accepted if event["event_time"] >= days.start_of(DAY)} & set(ids)
    assert lines_of(made_books, books.CLEAN)[ACTION].left == len(today)
    assert {"Kafka does not run", "ClickHouse is not running"} <= {note.split(":")[0] for note in made_books.notes}


def test_what_cannot_be_read_is_accounted_for(live, settings):
    broken_day = days.day_of(1_700_000_000_000)
    line = lines_of(keep_books(settings, broken_day, NOW), books.SILVER)[ACTION]
    assert (line.left, line.right["unreadable"], line.holds) == (2, 2, True)


@pytest.mark.parametrize(
    ("table", "column", "hop"),
    [
        ("bronze", "offset", books.BRONZE),
        ("events", "source_offset", books.SILVER),
        ("clean", "source_offset", books.CLEAN),
    ],
)
def test_a_row_that_is_taken_out_is_the_hole(live, settings, table, column, hop):
    offset = sorted({event["source_offset"] for event in live.accepted if event["event_type"] == "comment"})[3]
    put_back = take_out(Path(getattr(live.lake, table)), column, offset, ACTION)
    try:
        made_books = keep_books(settings, DAY, NOW)
        assert not made_books.good
        found = {line.hop: line.holes for line in made_books.lines if line.holes}
        assert found[hop] == (Hole("missing", offset, offset, found[hop][0].since_ms),)
        if hop != books.BRONZE:
            assert found[hop][0].since_ms == NOW // 60_000 * 60_000
            assert set(found) == {hop}
    finally:
        put_back()


def test_of_a_day_on_which_nothing_came_nothing_is_counted(live, settings):
    nothing = keep_books(settings, date(2025, 1, 1), NOW)
    assert not nothing.lines
    assert not nothing.good


def test_the_last_row_of_a_partition_is_missed_too(live, settings):
    line = lines_of(keep_books(settings, DAY, NOW), books.SILVER)[ACTION]
    last = max(event["source_offset"] for event in live.accepted if event["event_type"] != "app_open")
    put_back = take_out(Path(live.lake.events), "source_offset", last, ACTION)
    try:
        made = lines_of(keep_books(settings, DAY, NOW), books.SILVER)[ACTION]
        assert (made.holes[0].first, made.right["silver"]) == (last, line.right["silver"] - 1)
    finally:
        put_back()


def test_what_bronze_took_after_silver_is_on_its_way(live, settings):
    checkpoint = live.lake.silver_checkpoint / "commits"
    put_back = take_out(Path(live.lake.events), "source_offset", 7, ACTION)
    kept = checkpoint.rename(checkpoint.with_name("commits.kept"))
    try:
        made = lines_of(keep_books(settings, DAY, NOW), books.SILVER)[ACTION]
        assert made.holds
        assert made.right[IN_FLIGHT] >= 1
    finally:
        kept.rename(checkpoint)
        put_back()


def test_the_command_fails_on_a_hole_and_says_where(live, settings, monkeypatch):
    monkeypatch.setenv("FORYOU_HOME", str(settings.home))
    monkeypatch.setenv("FORYOU_PORT_OFFSET", "3900")
    run = CliRunner().invoke
    assert run(app, ["ledger", "--date", f"{DAY}"]).exit_code == 0
    put_back = take_out(Path(live.lake.clean), "source_offset", 7, ACTION)
    try:
        said = run(app, ["ledger", "--date", f"{DAY}"])
        assert said.exit_code == 1
        assert "missing: events.action.v1[0] offset 7" in said.output
        assert f"foryou nightly --date {DAY}" in said.output
        told = json.loads(run(app, ["ledger", "--date", f"{DAY}", "--json"]).output)
        assert not told["good"]
        assert {"hop", "topic", "partition", "left", "right", "holes", "minutes"} == set(told["lines"][0])
    finally:
        put_back()


def test_kafka_tells_what_must_be_in_bronze_and_what_is_on_its_way(live):
    bronze = books.bronze_of(live.lake, DAY)
    end = bronze.reached[ACTION]
    (line,) = (each for each in books.bronze_lines(bronze, {ACTION: Span(0, 0, end + 5)}, DAY) if each.place == ACTION)
    assert line.holds
    assert (line.left, line.right) == (end + 5, {"bronze": end, IN_FLIGHT: 5})


def test_a_day_that_is_to_be_made_again_is_no_hole(live, settings):
    put_back = take_out(Path(live.lake.clean), "source_offset", 7, ACTION)
    days.mark(live.lake.dirty, [DAY])
    try:
        made_books = keep_books(settings, DAY, NOW)
        assert made_books.good
        assert lines_of(made_books, books.CLEAN)[ACTION].right[IN_FLIGHT] == 1
    finally:
        days.unmark(live.lake.dirty, [DAY])
        put_back()


def test_clickhouse_has_all_of_a_replaced_day_and_else_what_its_loader_has_read(live):
    rows = read(Path(live.lake.clean), None, (f"{DAY}", f"{DAY}"))
    rows = rows.select(["app_id", "event_id", "event_type", "source_partition", "source_offset"])

    def lines(table, replaced):
        return {line.place: line for line in books.analytics_lines(live.lake, DAY, table, replaced)}

    assert all(line.holds for line in lines(rows, True).values())
    middle = rows.filter((pc.field("source_offset") < 100) & (pc.field("source_offset") != 50))
    speed = lines(middle, False)[ACTION]
    assert [(hole.first, hole.last) for hole in speed.holes] == [(50, 50)]
    assert speed.right[IN_FLIGHT] > 0
    assert not lines(middle, True)[ACTION].holds
    days.mark(live.lake.made, [DAY])
    assert lines(middle, True)[ACTION].holds
    days.unmark(live.lake.made, [DAY])


def take_out(table, column, offset, place):
    """Removes a row by a new version of the table; what it returns puts it back."""
    partition = "partition" if column == "offset" else "source_partition"
    for file in live_files(table):
        rows = pq.read_table(file.path)
        hit = pc.and_(pc.equal(rows[column], offset), pc.equal(rows[partition], place.partition))
        named = rows["topic"] if "topic" in rows.column_names else pa.array([place.topic] * len(rows))
        hit = pc.and_(hit, pc.equal(named, place.topic))
        if "topic" not in rows.column_names:
            hit = pc.and_(hit, pc.not_equal(rows["event_type"], "app_open"))
        if pc.any(hit).as_py() and file.partition["day"] in (f"{DAY}", "2026-09-20"):
            log = table / "_delta_log"
            version = max(int(path.stem) for path in log.glob("*.json")) + 1
            less = file.path.with_name(f"less-{version}.parquet")
            pq.write_table(rows.filter(pc.invert(hit)), less)
            name = less.relative_to(table).as_posix()
            old = file.path.relative_to(table).as_posix()
            add = {"path": name, "partitionValues": file.partition, "dataChange": True}
            commit = log / f"{version:020}.json"
            commit.write_text(json.dumps({"remove": {"path": old}}) + "\n" + json.dumps({"add": add}) + "\n", "utf-8")
            return commit.unlink
    raise AssertionError(f"no row at {column} {offset} in {table}")
