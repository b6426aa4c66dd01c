"""Watch time of plays, from heartbeats that come twice, late, in any order, or not at all."""

from collections import defaultdict
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from foryou.features import oracle
from foryou.features.definitions import VIEWS
from foryou.features.operations import DAY, HOUR, MINUTE

NOON = 1_800_014_400_000 // DAY * DAY + 12 * HOUR
SECOND = 1_000
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
ACTIVITY, ENGAGEMENT = VIEWS["user_activity_v1"], VIEWS["video_engagement_v1"]


def beat(number, watch_ms, at, kind="play_progress", **more):
    """A heartbeat (or the end) of ann's play i1 of v1, received an hour after noon unless told otherwise."""
    play = {"app_id": "demo", "user_key": "uk_ann", "impression_id": "i1", "video_id": "v1", "category": "cats"}
    times = {"event_time": at, "received_at": NOON + HOUR}
    return {**play, **times, "event_id": f"e{number:03}", "event_type": kind, "watch_ms": watch_ms, **more}


@st.composite
def beats(draw):
    """Of two people, a few plays each: whole ones, and what is left when parts of them are lost."""
    kinds = st.sampled_from(["play_progress", "play_progress", "play_progress", "view_end"])
    listed = draw(
        st.lists(
            st.tuples(kinds, st.integers(0, 7), st.integers(0, 5 * 60), st.sampled_from(["uk_ann", "uk_bob"]))
            | st.tuples(kinds, st.integers(0, 3), st.just(0), st.just("uk_ann")),
            max_size=25,
        )
    )
    plays = st.sampled_from([("i1", "v1"), ("i2", "v1"), ("i3", "v2"), ("i1", "v2"), (None, "v1")])
    found = []
    for number, (kind, tenths, seconds, user) in enumerate(listed):
        impression, video = draw(plays)
        watch_ms = draw(st.sampled_from([None, *[tenths * 10 * SECOND] * 9]))
        event = beat(number, watch_ms, NOON + seconds * SECOND, kind, user_key=user)
        found.append(event | {"impression_id": impression, "video_id": video})
    return found


def delivered(events):
    """The same events as networks deliver them: some twice, in any order."""
    return st.lists(st.sampled_from(events), max_size=10).flatmap(lambda twice: st.permutations(events + twice))


def naive(events):
    """(user, video, minute) → ms: the largest of each play where it happened, and ends that name no impression."""
    plays, found = defaultdict(list), defaultdict(int)
    for event in {event["event_id"]: event for event in events}.values():
        if event["watch_ms"] is None or (event["impression_id"] is None and event["event_type"] != "view_end"):
            continue
        alone = event["event_id"] if event["impression_id"] is None else None
        plays[event["user_key"], event["impression_id"], event["video_id"], alone].append(event)
    for (user, _, video, _), of_play in plays.items():
        most = sorted(of_play, key=lambda event: (event["watch_ms"], event["event_time"], event["event_id"]))[-1]
        found[user, video, most["event_time"] // MINUTE * MINUTE] += most["watch_ms"]
    return {key: watch_ms for key, watch_ms in found.items() if watch_ms}


def watched(view, clean):
    """(entity, minute) → ms, of the view's minute tiles; salts merged."""
    place, found = view.index("watch_ms"), defaultdict(int)
    for (_, entity), tiles in oracle.tiles(view, clean).items():
        for (_, tile_ms, start, _), state in tiles.items():
            if tile_ms == MINUTE:
                found[entity, start] += state.measures[place]
    return {key: watch_ms for key, watch_ms in found.items() if watch_ms}


def summed(naive_tiles, place):
    found = defaultdict(int)
    for key, watch_ms in naive_tiles.items():
        found[key[place], key[2]] += watch_ms
    return dict(found)


@given(beats().flatmap(lambda events: st.tuples(st.just(events), delivered(events) if events else st.just([]))))
def test_every_play_counts_the_largest_that_came_once_where_it_happened(both):
    events, arrived = both
    clean = oracle.admit(arrived, DAY).clean
    assert watched(ACTIVITY, clean) == summed(naive(events), 0)
    assert watched(ENGAGEMENT, clean) == summed(naive(events), 1)


@EVERY_VIEW
@given(beats().flatmap(lambda events: st.tuples(st.just(events), delivered(events) if events else st.just([]))))
def test_tiles_and_their_versions_do_not_know_in_what_order_heartbeats_came(view, both):
    events, arrived = both
    assert oracle.tiles(view, oracle.admit(arrived, DAY).clean) == oracle.tiles(view, oracle.admit(events, DAY).clean)


WHOLE = [beat(n, n * 10 * SECOND, NOON + n * 10 * SECOND) for n in range(1, 9)]
END = beat(9, 85 * SECOND, NOON + 85 * SECOND, "view_end", duration_ms=80 * SECOND)


def test_a_whole_play_counts_its_end_alone():
    clean = oracle.admit([*WHOLE, END], DAY).clean
    assert watched(ACTIVITY, clean) == {("uk_ann", NOON + MINUTE): 85 * SECOND}
    assert [row["cancels_watch_ms"] for row in clean] == [None, *(n * 10 * SECOND for n in range(1, 9))]


@pytest.mark.parametrize("lost", range(1, 9))
def test_a_play_that_breaks_off_keeps_what_was_watched(lost):
    heard = WHOLE[:lost]
    minute = NOON + lost * 10 * SECOND // MINUTE * MINUTE
    assert watched(ACTIVITY, oracle.admit(heard, DAY).clean) == {("uk_ann", minute): lost * 10 * SECOND}


def test_a_heartbeat_is_no_view_and_no_finish():
    clean = oracle.admit(WHOLE, DAY).clean
    counted = {name: ENGAGEMENT.index(name) for name in ("views", "finishes", "skips", "plays")}
    states = [state for tiles in oracle.tiles(ENGAGEMENT, clean).values() for state in tiles.values()]
    assert states and not any(state.measures[place] for state in states for place in counted.values())


def test_what_comes_hours_late_moves_the_watch_time_to_where_it_happened():
    late = WHOLE[7] | {"received_at": NOON + 20 * HOUR}
    early = watched(ACTIVITY, oracle.admit(WHOLE[:5], DAY).clean)
    assert early == {("uk_ann", NOON): 50 * SECOND}
    clean = oracle.admit([*WHOLE[:5], late], DAY).clean
    assert watched(ACTIVITY, clean) == {("uk_ann", NOON + MINUTE): 80 * SECOND}


def test_an_end_that_says_less_than_a_heartbeat_leaves_it():
    clean = oracle.admit([*WHOLE, END | {"watch_ms": 3 * SECOND}], DAY).clean
    assert watched(ACTIVITY, clean) == {("uk_ann", NOON + MINUTE): 80 * SECOND}


def test_beyond_the_bound_the_stream_cannot_take_back_and_the_night_can():
    first, last = WHOLE[0], END | {"event_time": NOON + DAY + HOUR, "received_at": NOON + DAY + HOUR}
    watches = [sum(watched(ACTIVITY, oracle.admit([first, last], bound).clean).values()) for bound in (DAY, 2**62)]
    assert watches == [95 * SECOND, 85 * SECOND]


@EVERY_VIEW
@pytest.mark.parametrize("seed", range(3))
def test_every_salt_is_a_function_of_its_events_alone(view, seed):
    """A restored job may meet heartbeats in another order; what it leaves alone must be right already."""
    rng = Random(seed)
    events = [
        beat(n, rng.randrange(8) * 10 * SECOND, NOON + rng.randrange(HOUR), impression_id=f"i{n % 3}")
        for n in range(30)
    ]
    expected = oracle.tiles(view, oracle.admit(events, DAY).clean)
    rng.shuffle(events)
    assert oracle.tiles(view, oracle.admit(events, DAY).clean) == expected
