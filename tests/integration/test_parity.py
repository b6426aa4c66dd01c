"""Parity finds what was put in, names it, and finds nothing where nothing is."""

import random
from dataclasses import replace

import pytest
from pyspark.sql import functions as f
from typer.testing import CliRunner

from foryou.cli.app import app as cli
from foryou.contract.events import lane_of
from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.contract.schemas import schema
from foryou.features import oracle
from foryou.features.compilers.avro import tile_schema
from foryou.features.compilers.spark import spark_type
from foryou.features.definitions import VIEWS
from foryou.features.operations import Collect, Count
from foryou.lake import days
from foryou.lake.clean import ENDLESS, overwrite
from foryou.lake.job import Arguments
from foryou.lake.layers import Speed
from foryou.lake.parity import Moment, compare, newest, not_compared, summaries, summary_rows, totals
from foryou.lake.parity_causes import CAUSES
from foryou.lake.parity_days import NOTHING_LIVE
from foryou.lake.tables import Lake
from jobs.batch import parity as job

from . import generated
from .live_lake import APP, COUNT, DAY, HOUR, NOW, SEED, WANTED, made, on_time

SOON = Moment(now=NOW, settled=NOW + 10 * DAY)  # nothing is too old, nothing is on its way
TWO = {name: VIEWS[name] for name in ("user_category_v1", "video_engagement_v1")}  # of days, any view says the same
pytestmark = pytest.mark.timeout(900)


def admitted(accepted, without=(), bound=LATENESS_BOUND_MS):
    """Verdicts of the oracle on all but the events of some ids."""
    return oracle.admit([event for event in accepted if event["event_id"] not in set(without)], bound)


def tiles_of(rows, views=VIEWS):
    """(view, app, entity, facet, tile_ms, tile_start) → what the tile says. Tiles of nothing left out."""
    found = {}
    for name, view in views.items():
        for (app, entity), states in oracle.tiles(view, rows, salt_of=lambda *_: 0).items():
            for (facet, tile_ms, start, _), state in states.items():
                if start // DAY * DAY >= days.start_of(WANTED[0]) and (state.n or any(numbers(state))):
                    found[name, app, entity, facet, tile_ms, start] = state
    return found


def numbers(state):
    return [value for value in state.measures if isinstance(value, int)]


def speed_of(spark, verdicts, said, extra=()):
    """The speed layer's side as tables."""
    by_view = {name: [] for name in VIEWS}
    for (name, app, entity, facet, tile_ms, start), state in said.items():
        view = VIEWS[name]
        row = {"app_id": app, view.entity: entity, "salt": 0, "tile_ms": tile_ms, "tile_start": start, "offset": 0}
        row |= {view.facet: facet} if view.facet else {}
        for measure, value in zip(view.measures, state.measures, strict=True):
            listed = isinstance(measure.op, Collect)
            row[measure.name] = (
                [dict(zip(measure.op.names, record, strict=True)) for record in value] if listed else value
            )
        by_view[name].append(row | {"epoch": 1, "n": state.n, "first_ms": state.first_ms, "last_ms": state.last_ms})
    told = {
        name: newest(VIEWS[name], table(spark, rows, tile_schema(VIEWS[name]), "offset BIGINT"))
        for name, rows in by_view.items()
    }
    rows = [row | {"judged_at": row["received_at"], "judged_offset": n} for n, row in enumerate(verdicts.clean)]
    judged = table(spark, rows, schema("clean"), "judged_at BIGINT, judged_offset BIGINT")
    apart = [event | {"verdict": "duplicate"} for event in verdicts.duplicate]
    apart += [event | {"verdict": "late"} for event in verdicts.late]
    return Speed(judged, table(spark, apart, schema("apart"), "verdict STRING"), told)


def table(spark, rows, avro, more):
    columns = [(field["name"], spark_type(field["type"])) for field in avro["fields"]]
    columns += [tuple(each.split()) for each in more.split(", ")]
    listed = [tuple(row[name] for name, _ in columns) for row in rows]
    return spark.createDataFrame(listed, ", ".join(f"`{name}` {kind}" for name, kind in columns))


def reported(found):
    return {
        (row["view"], row["app_id"], row["entity"], row["facet"], row["tile_ms"], row["tile_start"]): set(row["causes"])
        for row in found.differences.collect()
    }


def changed(one, other):
    """Keys of tiles that are not the same."""
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def check(found, expected, compared):
    told = reported(found)
    wrong = [key for key in told.keys() | expected.keys() if told.get(key) != expected.get(key)]
    assert [(key, expected.get(key), told.get(key)) for key in wrong[:5]] == []
    totals = {cause: sum(summary.causes[cause] for summary in summaries(found)) for cause in CAUSES}
    assert totals == {cause: sum(cause in causes for causes in expected.values()) for cause in CAUSES}
    assert sum(summary.compared for summary in summaries(found)) == compared


@pytest.fixture(scope="module")
def quiet(spark, tmp_path_factory):
    return made(spark, tmp_path_factory.mktemp("quiet"), list(on_time()), views=TWO)  # of all, `troubled` says the same


def test_no_difference_none_reported(spark, quiet):
    verdicts = admitted(quiet.accepted)
    said = tiles_of(verdicts.clean, TWO)
    found = compare(speed_of(spark, verdicts, said), quiet.batch, list(TWO.values()), WANTED, SOON)
    check(found, {}, len(said))


LATE, DROPPED, COPIES, BLENDED, LAGGING = 12, 10, 8, 6, 15
LATER = NOW + 30 * HOUR


@pytest.fixture(scope="module")
def troubled(spark, tmp_path_factory):
    """A lake with known trouble: which events came late, were lost, were counted twice, …"""
    rng = random.Random(SEED)
    events = list(on_time())
    ids = [event["event_id"] for event in events]
    single = [n for n, id_ in enumerate(ids) if ids.count(id_) == 1]
    picked = rng.sample(single, LATE + DROPPED)
    late, dropped = [ids[n] for n in picked[:LATE]], [ids[n] for n in picked[LATE:]]
    for number in picked[:LATE]:
        events[number] = events[number] | {"event_time": events[number]["event_time"] - 30 * HOUR}
    for number, beside in zip(picked[LATE:], picked[:3], strict=False):  # two kinds of trouble in one tile
        same = {name: events[beside][name] for name in ("user_key", "event_time")}
        events[number] = events[number] | same | {"event_time": same["event_time"] + 12 * HOUR}
    watched = [n for n in single if n not in picked and events[n]["event_type"] == "view_end"]
    for number in watched[:BLENDED]:
        events[number] = events[number] | {"video_id": "v900"}
    events += withdrawals(events, {*late, *dropped})
    lagging = [
        event | {"received_at": LATER + HOUR + n, "event_time": LATER + n}
        for n, event in enumerate(generated.actions(APP, SEED + 1, 200, NOW, people=60, catalogue=40))
        if event["event_type"] in ("view_end", "play_start", "comment")
    ][:LAGGING]
    published = generated.videos(APP, 1, NOW + 10 * HOUR)[0] | {"video_id": "v900", "event_id": "b" * 36}
    lake = made(spark, tmp_path_factory.mktemp("troubled"), events + lagging, [published | {"category": "c3"}])
    lake.late, lake.dropped, lake.lagging = late, dropped, [event["event_id"] for event in lagging]
    return lake


def withdrawals(events, apart):
    """Un-likes of three likes that stand, more than the bound after them."""
    newest_word = oracle.admit([event for event in events if event["event_id"] not in apart], ENDLESS).relations
    standing = [(key, word) for key, word in sorted(newest_word.items()) if key[2] == "like" and word.on]
    for number, ((app, user, _, video), _) in enumerate(standing[:3]):
        fields = {"event_type": "unlike", "app_id": app, "user_key": user, "video_id": video, "watch_ms": None}
        at = LATER + number
        fields |= {"event_id": f"{number:036}", "event_time": at, "received_at": at, "target_user_key": None}
        yield events[0] | fields


def spoilt(view):
    """The view with one operator turned round."""
    wrong = Count(view.op("finishes").where.replace(">=", "<"))
    measures = tuple(replace(m, op=wrong) if m.name == "finishes" else m for m in view.measures)
    return replace(view, measures=measures)


def unknown_then(rows):
    """As blended before the video was published."""
    unknown = dict.fromkeys(("category", "creator_key", "video_duration_ms", "published_at"))
    return [row | unknown if row["video_id"] == "v900" else row for row in rows]


def twice(rows, accepted, copies):
    """With copies counted again, in order of arrival."""
    first = {row["event_id"]: row for row in rows}
    fields = ("received_at", "source_offset")
    again = [first[event["event_id"]] | {name: event[name] for name in fields} for event in copies]
    order = {(lane_of(e["event_type"]), e["source_offset"]): n for n, e in enumerate(accepted)}
    return sorted([*rows, *again], key=lambda row: order[lane_of(row["event_type"]), row["source_offset"]])


def test_what_was_put_in_is_what_is_found_tile_by_tile(spark, troubled):
    accepted = troubled.accepted
    verdicts = admitted(accepted, [*troubled.dropped, *troubled.lagging])
    time_of = {row["event_id"]: row["time"] for row in verdicts.clean}
    copies = [
        event
        for event in verdicts.duplicate
        if event["event_type"] in ("view_end", "impression", "comment", "play_start")
        and event["event_time"] == time_of[event["event_id"]]  # else the copy's clock says something else
    ][:COPIES]
    assert len(copies) == COPIES
    counted = unknown_then(twice(verdicts.clean, accepted, copies))
    wrong = VIEWS | {"video_history_v1": spoilt(VIEWS["video_history_v1"])}
    as_judged, said = tiles_of(counted), tiles_of(counted, wrong)
    now = NOW + 40 * HOUR
    aged = [key for key in sorted(said, key=str) if key[0] == "user_activity_v1" and key[5] + 60_000 + DAY <= now]
    gone = random.Random(SEED).sample(aged, 10)
    for key in gone:
        del said[key]

    truth = tiles_of(oracle.admit(accepted, ENDLESS).clean)
    heard = [event for event in accepted if event["event_id"] not in {*troubled.late, *troubled.lagging}]

    def alone(rows):
        """The tiles that one kind of trouble changes by itself."""
        return changed(tiles_of(rows), truth)

    by_cause = {
        "late": alone(admitted(accepted, troubled.late, ENDLESS).clean),
        "dropped": alone(admitted(accepted, troubled.dropped, ENDLESS).clean),
        "duplicate": alone(twice(admitted(accepted, (), ENDLESS).clean, accepted, copies)),
        "lag": alone(admitted(accepted, troubled.lagging, ENDLESS).clean)
        | alone(unknown_then(admitted(accepted, (), ENDLESS).clean)),
        "expired": changed(tiles_of(admitted(heard).clean), tiles_of(admitted(heard, (), ENDLESS).clean)),
        "code": changed(said, as_judged) - set(gone),
    }
    assert all(by_cause.values())
    expected = {}
    for cause, keys in by_cause.items():
        for key in keys:
            expected.setdefault(key, set()).add(cause)
    expected |= {key: {"expired"} for key in gone}
    assert {"late", "dropped"} in expected.values() and any(
        "code" in each and len(each) > 1 for each in expected.values()
    )

    told = replace(verdicts, clean=counted, duplicate=[each for each in verdicts.duplicate if each not in copies])
    speed = speed_of(spark, told, said)
    found = compare(speed, troubled.batch, list(VIEWS.values()), WANTED, Moment(now, now + DAY))
    check(found, expected, len(truth.keys() | said.keys()))


def test_a_stream_with_all_that_goes_wrong_by_itself_is_explained(spark, tmp_path_factory):
    views = TWO | {"user_activity_v1": VIEWS["user_activity_v1"]}  # whose tiles expire first
    events = generated.actions(APP, SEED, 2 * COUNT, NOW, people=60, catalogue=40)
    lake = made(spark, tmp_path_factory.mktemp("natural"), list(events), views=views)
    verdicts = admitted(lake.accepted)
    assert verdicts.late
    assert verdicts.duplicate
    said, truth = tiles_of(verdicts.clean, views), tiles_of(oracle.admit(lake.accepted, ENDLESS).clean, views)
    found = compare(speed_of(spark, verdicts, said), lake.batch, list(views.values()), WANTED, SOON)
    told = reported(found)
    assert set(told) == changed(said, truth)
    assert set().union(*told.values()) <= {"late", "expired"}


def test_what_was_only_imported_is_not_compared(spark, quiet):
    one = quiet.accepted[0]["user_key"]
    mine = {event["event_id"] for event in quiet.accepted if event["user_key"] == one}
    origin = f.when(f.col("user_key") == one, "import").otherwise("kafka")
    batch = replace(quiet.batch, events=quiet.batch.events.withColumn("origin", origin))
    verdicts = admitted(quiet.accepted, mine)
    said, truth = tiles_of(verdicts.clean, TWO), tiles_of(admitted(quiet.accepted, (), ENDLESS).clean, TWO)
    live = {(row["app_id"], row["video_id"]) for row in verdicts.clean}
    compared = {key for key in truth if (key[1], key[2]) in live or (key[2].startswith("uk_") and key[2] != one)}
    found = compare(speed_of(spark, verdicts, said), batch, list(TWO.values()), WANTED, SOON)
    check(found, {key: {"imported"} for key in changed(said, truth) & compared}, len(compared))


PAST, PAST_LATE = WANTED[1], "a" * 36  # a day of history, and a live event of it that comes on the next day


@pytest.fixture(scope="module")
def historic(spark, tmp_path_factory):
    """A day of the live door, and the day before it: imported, but for one event that came late."""
    seen = [event for event in on_time() if days.day_of(event["event_time"]) == WANTED[2]]
    ids = [event["event_id"] for event in seen]
    told = [event for event in seen if event["event_type"] in ("comment", "impression")]
    past = [event for event in told if ids.count(event["event_id"]) == 1][:60]
    past = [
        event | {"event_id": f"{n:036}"} | {name: event[name] - 36 * HOUR for name in ("event_time", "received_at")}
        for n, event in enumerate(past)
    ]
    late = past[0] | {"event_id": PAST_LATE, "received_at": NOW}
    lake = made(spark, tmp_path_factory.mktemp("historic"), [*past, *seen, late], views=TWO)
    lake.imported = {event["event_id"] for event in past}
    return lake


def with_imports(batch, imported):
    origin = f.when(f.col("event_id").isin(*imported), "import").otherwise("kafka")
    return replace(batch, events=batch.events.withColumn("origin", origin))


def test_of_a_day_that_was_only_imported_nothing_but_what_came_late_differs(spark, historic):
    verdicts = admitted(historic.accepted, historic.imported)
    assert [event["event_id"] for event in verdicts.late] == [PAST_LATE]
    said, truth = tiles_of(verdicts.clean, TWO), tiles_of(admitted(historic.accepted, (), ENDLESS).clean, TWO)
    without = tiles_of(admitted(historic.accepted, [PAST_LATE], ENDLESS).clean, TWO)
    expected = {key: {"late", "imported"} if key in without else {"late"} for key in changed(without, truth)}
    assert {"late", "imported"} in expected.values()

    batch = with_imports(historic.batch, historic.imported)
    found = compare(speed_of(spark, verdicts, said), batch, list(TWO.values()), WANTED, SOON)
    check(found, expected, len(said) + len(expected))
    assert {summary.day for summary in summaries(found) if summary.only_imported} == {PAST}


def test_a_day_of_which_the_speed_layer_lost_an_event_that_was_not_late_is_no_history(spark, historic):
    lost = sorted(historic.imported)[7]
    batch = with_imports(historic.batch, historic.imported - {lost})
    verdicts = admitted(historic.accepted, historic.imported)
    said = tiles_of(verdicts.clean, TWO)
    found = compare(speed_of(spark, verdicts, said), batch, list(TWO.values()), WANTED, SOON)
    assert not any(summary.only_imported for summary in summaries(found))
    truth = tiles_of(admitted(historic.accepted, (), ENDLESS).clean, TWO)
    of_the_lost = changed(tiles_of(admitted(historic.accepted, [lost], ENDLESS).clean, TWO), truth)
    assert of_the_lost <= {key for key, causes in reported(found).items() if "dropped" in causes}


def test_a_summary_of_an_older_version_gets_the_new_column(spark, tmp_path):
    told = not_compared(list(VIEWS.values())[:1], WANTED[:1])
    old = summary_rows(spark, told).drop("only_imported")
    overwrite(old, f"{tmp_path}/summary", WANTED[:1])
    new = [replace(each, day=WANTED[1]) for each in told]
    overwrite(summary_rows(spark, new), f"{tmp_path}/summary", WANTED[1:2], widen=True)
    rows = spark.read.format("delta").load(f"{tmp_path}/summary").collect()
    assert {row["day"]: row["only_imported"] for row in rows} == {WANTED[0]: None, WANTED[1]: True}


def test_the_job_names_the_days_that_were_only_imported_and_the_command_says_so(spark, tmp_path, monkeypatch):
    lake = Lake(tmp_path / "lake")
    rows = spark.createDataFrame(
        [(day, "import", False) for day in WANTED[:2]], "day DATE, origin STRING, late BOOLEAN"
    )
    rows.write.format("delta").partitionBy("day").save(lake.events)
    monkeypatch.setattr(job, "days_held", lambda _, wanted: wanted)
    wrote = job.work(spark, Arguments(lake, tmp_path, WANTED[0], WANTED[2], 0, "kafka", "registry"))
    counted = {"days": 0, "days_only_imported": 2, "days_left_out": 1}
    assert wrote == totals([]) | counted | {"left_out": {f"{WANTED[2]}": NOTHING_LIVE}}

    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    said = CliRunner().invoke(cli, ["parity", "--date", f"{WANTED[1]}"])
    assert said.exit_code == 0, said.output
    assert f"Speed never saw {WANTED[1]}: only imported." in said.output
    assert CliRunner().invoke(cli, ["parity", "--date", f"{WANTED[2]}"]).exit_code == 1, "there was nothing of it"
