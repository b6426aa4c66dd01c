"""The packed row: replays are refused, any order ends the same, nothing readable expires, bytes come back."""

import functools
import random

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from foryou.features import merge
from foryou.features.definitions import VIEWS
from foryou.features.operations import DAY, HOUR, MINUTE, Collect, Count, Latest
from foryou.features.spec import TileState

NOW = 1_800_000_000_000
USER_ACTIVITY = VIEWS["user_activity_v1"]
ACTIONS = [m.name for m in USER_ACTIVITY.measures].index("actions")
KEY = (None, MINUTE, NOW - MINUTE, 0)

texts = st.none() | st.sampled_from("ab")


def values_of(op):
    match op:
        case Latest():
            return st.none() | st.integers(NOW - DAY, NOW)
        case Collect():
            action = st.tuples(
                st.integers(NOW - DAY, NOW), st.just("like"), texts, texts, texts, st.none(), st.none(),
                st.integers(0, 1), st.integers(0, 1),
            )  # fmt: skip
            few = st.lists(action, max_size=4)
            return st.tuples(few, st.sampled_from([1, 30])).map(
                lambda t: tuple(sorted(t[0] * t[1], key=lambda a: a[0]))
            )
        case Count():
            return st.integers(0, 50)
    return st.integers(-2, 50)


@functools.cache
def states(name):
    view = VIEWS[name]
    return st.builds(
        TileState,
        st.integers(1, 2),
        st.integers(1, 4),
        st.none() | st.integers(NOW - DAY, NOW),
        st.none() | st.integers(NOW - DAY, NOW),
        st.tuples(*(values_of(m.op) for m in view.measures)),
    )


@functools.cache  # a strategy made anew for each draw costs more than the draw
def tiles(name):
    view = VIEWS[name]
    return st.one_of(
        *(st.tuples(st.just(r.ms), st.integers(-2 * r.ms, view.keep_of(r.ms) + 3 * r.ms)) for r in view.tiles)
    )


FACETS = st.sampled_from("xy")
SALTS = st.integers(0, max(view.salts for view in VIEWS.values()) - 1)


@st.composite
def rows(draw, view):
    row = {}
    for _ in range(draw(st.integers(0, 12))):
        size, back = draw(tiles(view.full_name))
        facet = draw(FACETS) if view.facet else None
        row[facet, size, (NOW - back) // size * size, draw(SALTS) % view.salts] = draw(states(view.full_name))
    return row


EVERY_VIEW = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)


def state(epoch, n, watched=0):
    return TileState(epoch, n, NOW - MINUTE, NOW - MINUTE, (watched, 0, 0, 0, None, ()))


def test_a_first_tile_is_kept():
    row = {}
    assert merge.put(row, KEY, state(1, 3))
    assert row == {KEY: state(1, 3)}


def test_more_events_replace_fewer():
    row = {KEY: state(1, 3)}
    assert merge.put(row, KEY, state(1, 4))
    assert row == {KEY: state(1, 4)}


def test_fewer_events_of_the_same_epoch_are_a_replay_and_refused():
    row = {KEY: state(1, 4)}
    assert not merge.put(row, KEY, state(1, 3))
    assert row == {KEY: state(1, 4)}


def test_a_new_epoch_replaces_though_it_has_seen_less():
    row = {KEY: state(1, 400)}
    assert merge.put(row, KEY, state(2, 1))
    assert row == {KEY: state(2, 1)}


def test_an_old_epoch_is_refused_though_it_has_seen_more():
    row = {KEY: state(2, 1)}
    assert not merge.put(row, KEY, state(1, 400))


def test_as_many_events_replace_for_they_may_be_counted_in_another_order():
    row = {KEY: state(1, 4, watched=1)}
    assert merge.put(row, KEY, state(1, 4, watched=2))
    assert row == {KEY: state(1, 4, watched=2)}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 5)), max_size=12), st.randoms())
def test_any_order_of_delivery_with_any_repeats_ends_the_same(versions, chance):
    tiles = [((None, MINUTE, start * MINUTE, 0), state(epoch, n)) for start, epoch, n in versions]
    once, shuffled = {}, {}
    for key, tile in tiles:
        merge.put(once, key, tile)
    delivered = tiles + chance.sample(tiles, len(tiles) // 2)
    chance.shuffle(delivered)
    for key, tile in delivered:
        merge.put(shuffled, key, tile)
    assert once == shuffled == {key: max(t for k, t in tiles if k == key) for key, _ in tiles}


@EVERY_VIEW
@given(st.data())
def test_a_row_comes_back_from_its_bytes(view, data):
    row = data.draw(rows(view))
    assert merge.decode(view, merge.encode(row)) == row


@EVERY_VIEW
def test_bytes_that_are_no_row_are_refused(view):
    with pytest.raises(msgspec.DecodeError):
        merge.decode(view, msgspec.msgpack.encode({"a": 1}))


@EVERY_VIEW
@given(st.data(), st.integers(0, 2 * DAY))
def test_what_expires_could_not_be_read_any_more(view, data, later):
    row = data.draw(rows(view))
    expired = dict(row)
    merge.expire(view, expired, NOW)
    assert merge.read(view, expired, NOW + later) == merge.read(view, row, NOW + later)


@EVERY_VIEW
@given(st.data())
def test_expiring_drops_exactly_what_is_older_than_its_keep(view, data):
    row = data.draw(rows(view))
    kept = {key for key in row if key[2] + key[1] > NOW - view.keep_of(key[1])}
    gone = len(row) - len(kept)
    assert merge.expire(view, row, NOW) == gone
    assert set(row) == kept


def test_lists_behind_the_newest_128_actions_are_emptied_and_counts_stay():
    action = (NOW - HOUR, "like", "v", "c", "u", None, None, 0, 0)
    row = {
        (None, MINUTE, NOW - i * MINUTE, 0): TileState(1, 50, NOW, NOW, (50, 0, 0, 0, None, (action,) * 50))
        for i in range(5)
    }
    assert merge.expire(USER_ACTIVITY, row, NOW) == 0
    assert [len(tile.measures[ACTIONS]) for tile in row.values()] == [50, 50, 50, 0, 0]
    assert [tile.measures[0] for tile in row.values()] == [50] * 5


@EVERY_VIEW
@given(st.data())
def test_nothing_after_now_is_touched(view, data):
    row = data.draw(rows(view))
    past = {key: tile for key, tile in row.items() if key[2] <= NOW}
    assert merge.read(view, row, NOW) == merge.read(view, past, NOW)


@EVERY_VIEW
@given(st.data())
def test_the_order_of_tiles_in_a_row_cannot_be_seen(view, data):
    row = data.draw(rows(view))
    items = list(row.items())
    random.Random(0).shuffle(items)
    assert merge.read(view, dict(items), NOW) == merge.read(view, row, NOW)


def test_a_record_of_the_topic_becomes_key_and_state_with_its_actions_in_the_order_of_time():
    def action(time):
        return {
            "time": time, "event_type": "like", "video_id": "v", "category": None, "creator_key": None,
            "watch_ms": None, "duration_ms": None, "watched": 0, "skipped": 0,
        }  # fmt: skip

    record = {
        "app_id": "demo", "user_key": "uk", "salt": 0, "tile_ms": MINUTE, "tile_start": NOW, "epoch": 2, "n": 3,
        "first_ms": NOW, "last_ms": NOW + 2, "watched": 1, "skips": 0, "watch_ms": 7, "likes": 2, "engaged": NOW + 2,
        "actions": [action(NOW + 2), action(NOW)],
    }  # fmt: skip
    first, second = ((time, "like", "v", None, None, None, None, 0, 0) for time in (NOW, NOW + 2))
    assert merge.tile(USER_ACTIVITY, record) == (
        (None, MINUTE, NOW, 0),
        TileState(2, 3, NOW, NOW + 2, (1, 0, 7, 2, NOW + 2, (first, second))),
    )


def test_no_actions_arrive_as_null():
    record = dict.fromkeys(["first_ms", "last_ms", "engaged", "actions"]) | dict.fromkeys(
        ["salt", "tile_ms", "tile_start", "epoch", "n", "watched", "skips", "watch_ms", "likes"], 1
    )
    assert merge.tile(USER_ACTIVITY, record)[1].measures[ACTIONS] == ()


@EVERY_VIEW
@given(st.data())
def test_a_row_changes_the_same_whether_its_states_are_packed_or_not(view, data):
    row, came = data.draw(rows(view)), data.draw(rows(view))
    packed = merge.open_row(merge.encode(row))
    for key, tile in came.items():
        assert merge.put(packed, key, tile) == merge.put(row, key, tile)
    assert merge.expire(view, packed, NOW) == merge.expire(view, row, NOW)
    assert merge.decode(view, merge.encode(packed)) == row
