"""The one map, in memory and on disk: the same behaviour, so that the fake cannot drift."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foryou.store.rocks import RocksRows, SecondaryRows, StoreUnavailableError
from foryou.store.rows import (
    PLAIN,
    TILES,
    Batch,
    MemoryRows,
    offset_key,
    plain_key,
    plain_prefix,
    split_tile_key,
    stored_offsets,
    tile_key,
    tile_prefix,
    views_with,
)

ANN, BEN = tile_key("a_v1", "demo", "ann"), tile_key("a_v1", "demo", "ben")


def test_what_was_put_is_there(rows):
    rows.write(Batch({ANN: b"1", BEN: b"2"}))
    assert rows.get(ANN) == b"1"
    assert rows.get_many([BEN, b"nobody", ANN]) == [b"2", None, b"1"]


def test_none_deletes(rows):
    rows.write(Batch({ANN: b"1", BEN: b"2"}))
    rows.write(Batch({ANN: None}))
    assert rows.get_many([ANN, BEN]) == [None, b"2"]


def test_nothing_asked_is_nothing_answered(rows):
    assert rows.get_many([]) == []


def test_a_scan_is_in_key_order_and_stays_inside_its_prefix(rows):
    other = tile_key("a_v10", "demo", "ann")  # a_v1 is a prefix of its name, not of its keys
    rows.write(Batch({BEN: b"2", ANN: b"1", other: b"3"}))
    assert list(rows.scan(tile_prefix("a_v1"))) == [(ANN, b"1"), (BEN, b"2")]


def test_a_scan_goes_on_behind_a_key(rows):
    rows.write(Batch({BEN: b"2", ANN: b"1"}))
    assert list(rows.scan(tile_prefix("a_v1"), after=ANN)) == [(BEN, b"2")]


def test_a_purge_takes_one_view_and_comes_before_the_puts_of_its_batch(rows):
    other = tile_key("b_v1", "demo", "ann")
    rows.write(Batch({ANN: b"1", BEN: b"2", other: b"3"}))
    rows.write(Batch({BEN: b"4"}, [tile_prefix("a_v1")]))
    assert rows.get_many([ANN, BEN, other]) == [None, b"4", b"3"]


def test_offsets_are_kept_by_topic_and_partition(rows):
    rows.write(Batch({offset_key("t.v1", 0): b"7", offset_key("t.v1", 11): b"8", offset_key("t.v10", 0): b"9"}))
    assert stored_offsets(rows, "t.v1") == {0: 7, 11: 8}


def test_views_with_rows_are_listed_once(rows):
    rows.write(Batch({ANN: b"1", BEN: b"2", tile_key("b_v1", "x", "y"): b"3", plain_key("p_v1", b"k"): b"4"}))
    assert views_with(rows, TILES) == ["a_v1", "b_v1"]
    assert views_with(rows, PLAIN) == ["p_v1"]


def test_an_entity_may_hold_any_character():
    assert split_tile_key(tile_key("a_v1", "demo", "a|b\x00c/é")) == ("a_v1", "demo", "a|b\x00c/é")


_keys = st.sampled_from([tile_key(view, "demo", name) for view in ("a_v1", "b_v1") for name in ("ann", "ben")])
_batches = st.builds(
    Batch,
    st.dictionaries(_keys, st.none() | st.binary(max_size=3)),
    st.lists(st.sampled_from([tile_prefix("a_v1"), tile_prefix("b_v1"), plain_prefix()]), max_size=2),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_batches, max_size=8))
def test_memory_and_rocksdb_agree_whatever_is_written(tmp_path_factory, batches):
    memory, rocks = MemoryRows(), RocksRows(tmp_path_factory.mktemp("agree") / "rocks")
    for batch in batches:
        memory.write(batch)
        rocks.write(batch)
    assert list(memory.scan(tile_prefix())) == list(rocks.scan(tile_prefix()))
    rocks.close()


def test_a_second_writer_is_refused_in_one_sentence(tmp_path):
    first = RocksRows(tmp_path / "rocks")
    with pytest.raises(StoreUnavailableError, match="open for writing in another process"):
        RocksRows(tmp_path / "rocks")
    first.close()


def test_a_secondary_sees_whatever_the_primary_has_written(tmp_path):
    primary = RocksRows(tmp_path / "rocks")
    primary.write(Batch({ANN: b"0"}))
    secondary = SecondaryRows(tmp_path / "rocks")
    for number in range(200):
        primary.write(Batch({ANN: b"%d" % number}), durable=number % 50 == 0)
        secondary.catch_up()
        assert secondary.get(ANN) == b"%d" % number
    secondary.close()
    primary.close()


def test_a_secondary_sees_what_comes_after_the_log_was_changed_for_another(tmp_path):
    primary = RocksRows(tmp_path / "rocks")
    primary.write(Batch({ANN: b"1"}))
    secondary = SecondaryRows(tmp_path / "rocks")
    secondary.catch_up()
    for number in range(3):
        primary.write(Batch({b"t\x00%d-%d" % (number, i): bytes(1_000_000) for i in range(40)}))  # more than a buffer
        primary.write(Batch({ANN: b"%d" % number}))
        secondary.catch_up()
        assert secondary.get(ANN) == b"%d" % number
    secondary.close()
    primary.close()


def test_a_secondary_does_nothing_while_nothing_was_written(tmp_path, monkeypatch):
    primary = RocksRows(tmp_path / "rocks")
    primary.write(Batch({ANN: b"1"}))
    secondary = SecondaryRows(tmp_path / "rocks")
    secondary.catch_up()
    monkeypatch.setattr(secondary, "_db", None)  # a catch-up would fail
    secondary.catch_up()
    primary.close()


def test_a_secondary_outlives_its_primary(tmp_path):
    primary = RocksRows(tmp_path / "rocks")
    primary.write(Batch({ANN: b"1"}))
    secondary = SecondaryRows(tmp_path / "rocks")
    for value in (b"2", b"3"):
        primary.close()
        secondary.catch_up()
        assert secondary.get(ANN) is not None
        primary = RocksRows(tmp_path / "rocks")
        primary.write(Batch({ANN: value}))
        secondary.catch_up()
        assert secondary.get(ANN) == value
    secondary.close()
    primary.close()


def test_a_secondary_says_what_is_missing_and_does_not_write(tmp_path):
    with pytest.raises(StoreUnavailableError, match="start it with"):
        SecondaryRows(tmp_path / "nothing")
    RocksRows(tmp_path / "rocks").close()
    secondary = SecondaryRows(tmp_path / "rocks")
    with pytest.raises(StoreUnavailableError, match="a secondary only reads"):
        secondary.write(Batch({ANN: b"1"}))
    secondary.close()
