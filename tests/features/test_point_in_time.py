"""Values of the past from batch tiles: nothing of the tile that was running, nothing of the future."""

from hypothesis import given
from hypothesis import strategies as st

from foryou.features import point_in_time
from foryou.features.definitions import VIEWS
from foryou.features.merge import BATCH_SALT, read
from foryou.features.operations import HOUR, MINUTE
from foryou.features.point_in_time import values_at
from foryou.features.spec import TileState

VIEW = VIEWS["video_engagement_v1"]
NOON = 1_795_176_000_000


def minute(start, plays):
    measures = tuple(plays if m.name == "plays" else m.op.zero for m in VIEW.measures)
    return (None, MINUTE, start, BATCH_SALT), TileState(1, plays, start, start, measures)


def plays(tiles, moment):
    return values_at(VIEW, dict(tiles), moment, ["plays_10m"])["plays_10m"]


def test_a_tile_counts_from_the_moment_that_it_is_over():
    tiles = [minute(NOON, 5)]
    assert [plays(tiles, NOON + late) for late in (0, MINUTE - 1, MINUTE, MINUTE + 1)] == [0, 0, 5, 5]


def test_what_happened_after_the_moment_changes_nothing():
    past = [minute(NOON - 2 * MINUTE, 3)]
    leak = [minute(NOON, 1_000), minute(NOON + MINUTE, 1_000)]
    moment = NOON + 30_000
    assert plays(past + leak, moment) == plays(past, moment) == 3


def test_without_the_guard_the_leak_is_seen(monkeypatch):
    monkeypatch.setattr(point_in_time, "ended", lambda key, moment: True)
    assert plays([minute(NOON - 2 * MINUTE, 3), minute(NOON, 1_000)], NOON + 30_000) == 1_003


def test_salts_of_the_stream_and_of_the_batch_read_alike():
    ((key, state),) = [minute(NOON, 5)]
    assert plays([((*key[:3], 2), state)], NOON + HOUR // 2) == plays([(key, state)], NOON + HOUR // 2)


@given(st.lists(st.tuples(st.integers(-90, 5), st.integers(0, 9)), max_size=30, unique_by=lambda t: t[0]))
def test_at_a_tiles_edge_the_past_is_what_was_served(counts):
    """Served then: the same batch tiles, of which no later ones existed yet."""
    tiles = dict(minute(NOON + number * MINUTE, count) for number, count in counts)
    then = {key: state for key, state in tiles.items() if key[2] < NOON}
    served = read(VIEW, then, NOON, cutoff=NOON)
    assert values_at(VIEW, tiles, NOON) == served
