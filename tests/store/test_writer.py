"""What the writer promises: the newest tile wins, offsets never run ahead of values, nothing counts twice."""

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foryou.contract.codec import NotAvro
from foryou.features import merge
from foryou.features.definitions import VIEWS
from foryou.features.operations import HOUR, MINUTE
from foryou.service.metrics import Metrics
from foryou.store.online import reconcile
from foryou.store.rows import Batch, MemoryRows, offset_key, stored_offsets, tile_key, tile_prefix
from foryou.store.source import Held, SourceUnavailableError
from foryou.store.testing import TileTopics, tile
from foryou.store.writer import RowCache, Writer, where_to_start

NOON = 1_795_176_000_000
ACTIVITY = VIEWS["user_activity_v1"]
VIDEO = VIEWS["video_engagement_v1"]
ANN = tile_key(ACTIVITY.full_name, "demo", "ann")


def drain(writer):
    while writer.step():
        pass


def stored(rows, key=ANN, view=ACTIVITY):
    packed = rows.get(key)
    return None if packed is None else merge.decode(view, packed)


def likes(rows):
    row = stored(rows)
    return None if row is None else sum(state.measures[ACTIVITY.index("likes")] for state in row.values())


def test_a_tile_becomes_part_of_its_entitys_row(writer, rows, topics):
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=2))
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - HOUR, likes=3))
    topics.send(ACTIVITY, tile(ACTIVITY, "ben", NOON - HOUR, likes=7))
    writer.start()
    drain(writer)
    assert likes(rows) == 5
    assert sorted(start for _, _, start, _ in stored(rows)) == [NOON - HOUR, NOON - MINUTE]


def test_salts_of_a_tile_stay_apart(writer, rows, topics):
    start = NOON - HOUR
    for salt in (0, 3):
        topics.send(VIDEO, tile(VIDEO, "v1", start, salt=salt))
    writer.start()
    drain(writer)
    assert len(stored(rows, tile_key(VIDEO.full_name, "demo", "v1"), VIDEO)) == 2


def test_apps_do_not_meet(writer, rows, topics):
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=2))
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=9, app_id="other"))
    writer.start()
    drain(writer)
    assert likes(rows) == 2


def test_a_smaller_n_is_a_replay_refused_and_counted(writer, rows, topics, metrics):
    for n, count in ((3, 30), (2, 20)):
        topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, n=n, likes=count))
    writer.start()
    drain(writer)
    assert likes(rows) == 30
    assert metrics.value("foryou_store_applied_total", view="user_activity_v1") == 1
    assert metrics.value("foryou_store_refused_total", view="user_activity_v1") == 1


def test_a_new_epoch_replaces_however_few_rows_it_has_seen(writer, rows, topics):
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, n=9, likes=90))
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, n=1, likes=10, epoch=2))
    writer.start()
    drain(writer)
    assert likes(rows) == 10


def test_a_late_event_changes_a_tile_although_it_moves_no_time(writer, rows, topics):
    newest = NOON - MINUTE + 30_000
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, n=1, likes=1, last_ms=newest))
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, n=2, likes=2, last_ms=newest))
    writer.start()
    drain(writer)
    assert likes(rows) == 2


def test_values_and_offsets_are_one_batch(writer, rows, topics):
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=1))
    writer.start()

    def fail(batch, *, durable=False):
        raise OSError("disk full")

    write, rows.write = rows.write, fail
    with pytest.raises(OSError):
        drain(writer)
    rows.write = write
    assert likes(rows) is None
    assert sum(stored_offsets(rows, ACTIVITY.topic).values()) == 0
    writer.start()
    drain(writer)
    assert likes(rows) == 1
    assert sum(stored_offsets(rows, ACTIVITY.topic).values()) == 1


def test_a_restart_goes_on_where_the_store_is(rows, topics, metrics, clock):
    def run():
        writer = Writer(rows, topics.source, topics.decode, VIEWS, metrics, clock)
        writer.start()
        drain(writer)

    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, n=1, likes=1))
    run()
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, n=2, likes=2))
    run()
    assert likes(rows) == 2
    assert metrics.value("foryou_store_tiles_total", view="user_activity_v1") == 2  # none was read twice


def test_a_topic_made_anew_is_read_from_its_beginning(writer, rows, topics, caplog):
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, n=1, likes=1))
    writer.start()
    drain(writer)
    topics.create(ACTIVITY)
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - HOUR, n=1, likes=4))  # at the offset that was read already
    writer.start()
    drain(writer)
    assert likes(rows) == 5
    assert "another topic than before" in caplog.text


def test_a_tombstone_forgets_nothing(writer, rows, topics):
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=1))
    topics.source.append(ACTIVITY.topic, b"demo|ann|0|60000|1", None)
    writer.start()
    drain(writer)
    assert likes(rows) == 1


@pytest.mark.parametrize("junk", [b"", b"{}", b"\x00\x00\x00\x00\x01\xff"])
def test_what_is_no_tile_is_skipped_counted_and_said_with_its_offset(writer, rows, topics, metrics, caplog, junk):
    topics.source.append(ACTIVITY.topic, b"?", junk)
    topics.source.append(ACTIVITY.topic, b"k", topics.encode(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=1)))
    writer.start()
    drain(writer)
    assert likes(rows) == 1
    assert metrics.value("foryou_store_undecodable_total", topic=ACTIVITY.topic) == 1
    assert caplog.records[-1].offset == 0


def test_without_the_registry_nothing_is_skipped(rows, topics, metrics, clock):
    silent = True

    def decode(value):
        if silent:
            raise httpx.ConnectError("registry is down")
        return topics.decode(value)

    writer = Writer(rows, topics.source, decode, VIEWS, metrics, clock)
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=1))
    writer.start()
    with pytest.raises(httpx.ConnectError):
        drain(writer)
    silent = False
    writer.start()
    drain(writer)
    assert likes(rows) == 1


def test_tiles_expire_when_their_entity_is_written(writer, rows, topics, clock):
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=1))
    writer.start()
    drain(writer)
    clock.now = NOON + 25 * HOUR
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", clock.now - MINUTE, likes=2))
    drain(writer)
    assert likes(rows) == 2


def test_tiles_expire_when_nobody_comes_back(writer, rows, topics, clock, metrics):
    for name in ("ann", "ben", "cleo"):
        topics.send(ACTIVITY, tile(ACTIVITY, name, NOON - MINUTE))
    writer.start()
    drain(writer)
    clock.now = NOON + 25 * HOUR
    for _ in range(2):
        writer.sweep(2)
    assert list(rows.scan(tile_prefix())) == []
    assert metrics.value("foryou_store_expired_total", view="user_activity_v1") == 3


def test_rows_of_a_view_that_is_no_longer_defined_are_swept_away(writer, rows):
    rows.write(Batch({tile_key("gone_v1", "demo", "ann"): b"?"}))
    writer.sweep(10)
    assert list(rows.scan(tile_prefix())) == []


def test_a_withdrawn_view_is_not_written_and_comes_back_whole(writer, rows, topics):
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, n=1, likes=1))
    writer.start()
    drain(writer)
    reconcile(rows, ["user_activity_v1"], [])
    assert likes(rows) is None
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - HOUR, n=1, likes=2))
    drain(writer)
    assert likes(rows) is None
    assert stored_offsets(rows, ACTIVITY.topic) == {}
    reconcile(rows, [], ["user_activity_v1"])
    writer.start()
    drain(writer)
    assert likes(rows) == 3


def test_it_says_what_it_waits_for(rows, topics, metrics, clock):
    empty = TileTopics({})
    writer = Writer(rows, empty.source, topics.decode, VIEWS, metrics, clock)
    with pytest.raises(SourceUnavailableError, match=r"no tile topic yet \(features\.user_activity\.v1"):
        writer.start()
    empty.source.create(ACTIVITY.topic)
    writer.start()
    assert writer.waiting_for == [f"topic {view.topic}" for view in VIEWS.values() if view is not ACTIVITY]


def test_the_cache_is_bounded_by_tiles_and_keeps_what_was_used_last():
    cache = RowCache(tiles=3)
    row = {(None, MINUTE, NOON, salt): None for salt in range(1)}
    for key in (b"a", b"b", b"c"):
        cache.put(key, row)
    cache.get(b"a")
    cache.put(b"d", row)
    assert [key for key in (b"a", b"b", b"c", b"d") if cache.get(key)] == [b"a", b"c", b"d"]


HELD = {("t", 0): Held(10, 20)}


@pytest.mark.parametrize(
    ("offset", "other", "start", "remark"),
    [
        (None, [], 10, ""),
        (10, [], 10, ""),
        (15, [], 15, ""),
        (20, [], 20, ""),
        (21, [], 10, "the store is at 21, the topic ends at 20"),
        (4, [], 10, "6 records expired"),
        (15, ["t"], 10, "another topic"),
    ],
)
def test_where_reading_starts(offset, other, start, remark):
    found = where_to_start({} if offset is None else {("t", 0): offset}, HELD, other)
    assert found.positions == {("t", 0): start}
    assert remark in "".join(found.remarks)


# Any history of a few tiles, cut into any batches, with anything delivered again and with restarts in between.
_versions = st.tuples(
    st.sampled_from(["ann", "ben"]), st.integers(0, 2), st.integers(1, 2), st.integers(1, 4)
)  # who, which minute, epoch, n
_steps = st.lists(st.one_of(_versions, st.sampled_from(["restart", "read", "replay", "forget"])), max_size=30)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
def test_whatever_is_delivered_again_the_newest_version_of_each_tile_is_what_stays(steps):
    topics, rows = TileTopics(partitions=1), MemoryRows()

    def new_writer():
        writer = Writer(
            rows, topics.source, topics.decode, VIEWS, Metrics(), lambda: NOON, batch_records=3, cached_tiles=2
        )
        writer.start()
        return writer

    writer, newest = new_writer(), {}
    for step in steps:
        match step:
            case "restart":
                writer = new_writer()
            case "read":
                writer.step()
            case "replay" | "forget":  # a consumer that goes back, and one whose offsets were lost
                offsets = {offset_key(ACTIVITY.topic, 0): b"0" if step == "replay" else None}
                rows.write(Batch(offsets))
                writer = new_writer()
            case who, minute, epoch, n:
                start = NOON - minute * MINUTE
                record = tile(ACTIVITY, who, start, n=n, epoch=epoch, likes=100 * epoch + n)
                topics.send(ACTIVITY, record)
                newest[who, start] = max(newest.get((who, start), (0, 0)), (epoch, n))
    drain(writer)
    found = {
        (who, start): (state.epoch, state.n)
        for who in ("ann", "ben")
        for (_, _, start, _), state in (stored(rows, tile_key(ACTIVITY.full_name, "demo", who)) or {}).items()
        if state.measures[ACTIVITY.index("likes")] == 100 * state.epoch + state.n
    }
    assert found == newest


def test_unknown_schema_is_no_tile(topics):
    with pytest.raises((NotAvro, KeyError)):
        topics.decode(b"\x00\x00\x00\x00\x63\x00")
