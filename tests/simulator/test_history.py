"""Weeks of history: the live simulator's people and chances, whole days, flaws that are counted, the same twice."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from foryou.contract.events import ClientEvent
from foryou.contract.gate import Accepted, Gate
from foryou.contract.identity import Identity
from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.simulator.catalogue import DAY_MS
from foryou.simulator.history import Plan, write_history
from foryou.simulator.past_days import Day, Views, Visits
from foryou.simulator.past_events import FLAWLESS, Made, Names, table_of
from foryou.simulator.reactions import draws, react, react_many

UNTIL = 1_790_035_200_000  # 2026-09-22, midnight UTC
SMALL = Plan(until_ms=UNTIL, weeks=3 / 7, people=60, videos=9_000)


def events_of(history):
    return pa.concat_tables(pq.read_table(path) for path in sorted(history.folder.glob("events-*.parquet")))


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return write_history(tmp_path_factory.mktemp("past") / "h", SMALL)


@pytest.fixture(scope="module")
def events(history):
    return events_of(history)


def test_a_file_per_day_holds_what_was_received_on_that_day(history):
    files = sorted(path.name for path in history.folder.glob("events-*.parquet"))
    assert files == ["events-2026-09-19.parquet", "events-2026-09-20.parquet", "events-2026-09-21.parquet"]
    for number, name in enumerate(files):
        received = pq.read_table(history.folder / name)["received_at"].to_numpy()
        assert received.min() >= UNTIL - (3 - number) * DAY_MS
        assert received.max() < UNTIL - (2 - number) * DAY_MS
        assert (np.diff(received) >= 0).all()


def test_every_event_passes_the_live_gate(history, events):
    gate = Gate(Identity(b"s" * 32))
    tables = [events.slice(0, 5_000), *(pq.read_table(history.folder / f"{n}.parquet") for n in ("people", "videos"))]
    for table in tables:
        for row in table.to_pylist():
            received = row["received_at"]
            fields = {
                name: {key: each for key, each in value.items() if each is not None} if name == "consent" else value
                for name, value in row.items()
                if value is not None and name in ClientEvent.__struct_fields__
            }
            verdict = gate.check_object(fields, "demo", received)
            assert isinstance(verdict, Accepted), verdict


def test_the_flaws_are_counted(history, events):
    copies = len(events) - len(pc.unique(events["event_id"]))
    late = int((events["received_at"].to_numpy() - events["event_time"].to_numpy() > LATENESS_BOUND_MS).sum())
    assert history.events == len(events)
    assert history.made.events == len(events) + history.not_yet_received
    assert 0 < copies <= history.made.twice
    assert 0 < late <= history.made.late <= late + history.not_yet_received
    told = json.loads((history.folder / "history.json").read_text("utf-8"))
    assert told["made"]["twice"] == history.made.twice


def test_sequence_numbers_have_gaps_only_where_events_were_lost_or_are_still_to_come(tmp_path):
    history = write_history(tmp_path / "h", Plan(UNTIL, weeks=1 / 7, people=40, videos=9_000, flaws=FLAWLESS))
    table = events_of(history).to_pandas()
    whole = table.groupby("session_id")["seq"].agg(["count", "max"])
    assert ((whole["count"] == whole["max"] + 1).mean()) > 0.95  # the rest was not over at midnight
    order = table.sort_values(["session_id", "seq"])
    backwards = order.groupby("session_id")["event_time"].diff().min()
    assert backwards >= 0
    assert history.bots == ()


def test_people_are_asleep_at_night_and_bots_like_without_end(history, events):
    by_user = Counter(events.filter(pc.equal(events["event_type"], "like"))["user_id"].to_pylist())
    assert by_user.most_common(1)[0][0] in history.bots
    hours = (events["event_time"].to_numpy() // 3_600_000) % 24
    counts = np.bincount(hours, minlength=24)
    assert counts.max() > 2 * counts.min()


def test_unlikes_and_searches_are_there_and_context_comes_with_app_open(events):
    types = Counter(events["event_type"].to_pylist())
    assert types["unlike"] > 0
    assert types["search"] == pytest.approx(types["search_click"], rel=0.1)
    assert types["impression"] == pytest.approx(types["view_end"], rel=0.02)
    opened = events.filter(pc.equal(events["event_type"], "app_open"))
    assert opened["context"].null_count == 0
    assert opened["context"].to_pylist()[0]["region"]


def test_the_same_plan_twice_is_the_same_history(history, events, tmp_path):
    again = write_history(tmp_path / "again", SMALL)
    assert events_of(again).equals(events)
    assert pq.read_table(again.folder / "people.parquet").equals(pq.read_table(history.folder / "people.parquet"))


def test_reactions_drawn_together_have_the_chances_of_those_drawn_one_by_one():
    count, duration = 40_000, 30_000
    many = react_many(np.full(count, 0.6), np.full(count, duration), np.random.default_rng(1))
    rng = draws(1)
    single = [react(0.6, duration, rng) for _ in range(count)]
    for name in ("like", "unlike", "share", "visit", "follow", "not_interested"):
        assert getattr(many, name).mean() == pytest.approx(np.mean([getattr(r, name) for r in single]), abs=0.006), name
    assert (many.comment_length > 0).mean() == pytest.approx(np.mean([r.comment_length > 0 for r in single]), abs=0.006)
    assert (many.watch_ms < 2_000).mean() == pytest.approx(np.mean([r.skipped for r in single]), abs=0.012)
    assert many.watch_ms.mean() == pytest.approx(np.mean([r.watch_ms for r in single]), rel=0.03)
    assert many.loops.mean() == pytest.approx(np.mean([r.loops for r in single]), rel=0.06)


def test_nobody_follows_themselves(world):
    catalogue, rng = world.catalogue, np.random.default_rng(1)
    mine = next(row for row, creator in enumerate(catalogue.creator) if catalogue.creator_id[creator].startswith("p"))
    me, none = catalogue.creator_id[catalogue.creator[mine]], np.zeros(0, np.int64)
    both = replace(react_many(np.full(2, 0.9), np.full(2, 9_000), rng), follow=np.ones(2, np.bool_))
    first, zeros = np.zeros(1, np.int64), np.zeros(2, np.int64)
    visits = Visits(first + int(me[1:]), first + UNTIL, first + UNTIL + 60_000)
    views = Views(zeros, zeros, np.arange(2), np.array([mine, 0]), UNTIL + np.array([1_000, 30_000]), both)
    table = table_of(Day(visits, views, (none, none, none)), Names(world, 0, 1, FLAWLESS), rng, Made())
    followed = table.filter(pc.equal(table["event_type"], "follow"))
    assert followed["user_id"].to_pylist() == [me]
    assert followed["target_user_id"].to_pylist() == [catalogue.creator_id[catalogue.creator[0]]]


def test_a_full_folder_or_half_a_day_is_refused(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(ValueError, match="not empty"):
        write_history(tmp_path, SMALL)
    with pytest.raises(ValueError, match="midnight"):
        write_history(tmp_path / "new", Plan(until_ms=UNTIL + 1))
