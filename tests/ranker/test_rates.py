"""Rates of all videos at once are the same numbers as the definition's own reading of one video's tiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foryou.features import merge
from foryou.features.operations import HOUR, MINUTE
from foryou.ranker.catalogue import Catalogue
from foryou.ranker.rates import ENGAGEMENT, Rates
from foryou.ranker.testing import NOW, published, tile

VIDEOS = ("v0", "v1", "v2")


def world(tiles: int = 1 << 10) -> tuple[Catalogue, Rates]:
    catalogue = Catalogue(16)
    for video in VIDEOS:
        catalogue.apply(published(video))
    rates = Rates(catalogue, tiles=tiles)
    rates.advance(NOW)
    return catalogue, rates


def value(rates: Rates, feature: str, row: int = 0) -> float:
    return float(rates.read(np.array([row], np.int32), NOW)[feature][0])


names = [measure.name for measure in ENGAGEMENT.measures]
tiles = st.builds(
    lambda video, size, back, n, salt, epoch, counts: tile(
        video, size, NOW - NOW % size - back * size, n, salt, epoch, **dict(zip(names, counts, strict=True))
    ),
    st.sampled_from(VIDEOS),
    st.sampled_from([MINUTE, HOUR]),
    st.integers(-2, 30),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 2),
    st.lists(st.integers(-2, 50), min_size=len(names), max_size=len(names)),
)
moves = st.lists(st.one_of(tiles, st.integers(-90, 60 * 26).map(lambda minutes: minutes * 40_000)), max_size=40)


@settings(max_examples=300, deadline=None)
@given(moves)
def test_every_feature_of_every_video_equals_the_reading_of_its_own_tiles_at_every_moment(steps):
    _, rates = world()
    rows: dict[str, merge.Row] = {video: {} for video in VIDEOS}
    now = latest = NOW
    for step in steps:
        if isinstance(step, int):
            now = max(latest - 60_000, now + step)  # clocks step back a little, never by hours
            latest = max(latest, now)
            rates.advance(now)
            for row in rows.values():
                merge.expire(ENGAGEMENT, row, now)
        else:
            key, state = merge.tile(ENGAGEMENT, step)
            if key[2] + key[1] + ENGAGEMENT.keep_of(key[1]) > now:
                merge.put(rows[step["video_id"]], key, state)
            rates.apply(step)
        found = rates.read(np.arange(len(VIDEOS), dtype=np.int32), now)
        expected = [merge.read(ENGAGEMENT, rows[video], now) for video in VIDEOS]
        for feature in ENGAGEMENT.features:
            assert found[feature.name].tolist() == pytest.approx([row[feature.name] for row in expected])


def test_salts_are_parts_of_one_tile():
    _, rates = world()
    minute = NOW - NOW % MINUTE
    for salt in range(4):
        rates.apply(tile("v0", MINUTE, minute, 10, salt, plays=10))
    assert value(rates, "plays_10m") == 40


def test_a_newer_version_replaces_and_a_replay_is_refused_and_counted():
    _, rates = world()
    minute = NOW - NOW % MINUTE
    taken = [
        rates.apply(tile("v0", MINUTE, minute, n, epoch=epoch, plays=plays))
        for epoch, n, plays in [(1, 5, 5), (1, 7, 7), (1, 6, 6), (2, 1, 1), (1, 9, 9)]
    ]
    assert (taken, value(rates, "plays_10m"), rates.replays) == ([True, True, False, True, False], 1, 2)


def test_plays_leave_the_window_as_the_clock_moves_although_nothing_happens():
    _, rates = world()
    rates.apply(tile("v0", MINUTE, NOW - NOW % MINUTE, 3, plays=3))
    seen = []
    for minutes in (0, 9, 12, 59, 62):
        rates.advance(NOW + minutes * MINUTE)
        seen.append((value(rates, "plays_10m"), value(rates, "plays_1h")))
    assert seen == [(3, 3), (3, 3), (0, 3), (0, 3), (0, 0)]


def test_expired_tiles_give_their_room_back():
    _, rates = world(tiles=64)
    for hour in range(24 * 14):
        now = NOW + hour * HOUR
        rates.advance(now)
        rates.apply(tile("v0", HOUR, now - now % HOUR, 1, plays=1))
    assert len(rates) <= 26
    assert rates.forgotten == 0


def test_without_room_the_oldest_tiles_are_forgotten_and_counted_never_the_sums_wrong():
    _, rates = world(tiles=4)
    newest = NOW - NOW % MINUTE
    for back in reversed(range(8)):
        rates.apply(tile("v0", MINUTE, newest - back * MINUTE, 1, plays=1))
    assert (value(rates, "plays_10m"), rates.forgotten, len(rates)) == (4, 4, 4)


def test_a_tile_that_comes_before_its_video_waits_for_it():
    catalogue, rates = world()
    rates.apply(tile("late", MINUTE, NOW - NOW % MINUTE, 3, plays=3))
    row = catalogue.apply(published("late"))
    rates.advance(NOW)
    assert value(rates, "plays_10m", row) == 3
