"""On generated streams, merged tiles give what the oracle gives from events: in any order, with any salts."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from foryou.contract.schemas import field_names
from foryou.features import merge, oracle, testing
from foryou.features.definitions import VIEWS
from foryou.features.operations import DAY, HOUR, MINUTE, Toggle, Watched
from foryou.features.reading import merge_states

NOON = 1_800_014_400_000 // DAY * DAY + 12 * HOUR
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)

# Around edges of tiles and gaps, in the present and long ago.
times = st.builds(
    lambda base, edge, off: NOON - base + edge + off,
    st.sampled_from([0, MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, DAY, 3 * DAY]),
    st.integers(-40, 40).map(lambda minutes: minutes * MINUTE),
    st.sampled_from([-1, 0, 1, 59_999]),
)
types = st.sampled_from(
    ["view_end"] * 4 + ["play_progress"] * 4 + ["play_start", "impression", "like", "like", "unlike", "share"]
    + ["unshare", "comment", "not_interested", "app_open", "network_change", "follow"]
)  # fmt: skip


# Made once: a strategy made anew for each draw costs more than the draw.
VIDEOS, APPS, USERS = (
    st.sampled_from(["v1", "v2", "v3"]),
    st.sampled_from(["demo", "demo", "other"]),
    st.sampled_from("ab"),
)
IDS, IMPRESSIONS = st.integers(0, 10**9), st.sampled_from(["i1", "i2", None])
DELAYS = st.sampled_from([0, 0, 5, HOUR, DAY, DAY + 1, -5])
WATCHED, DURATIONS = st.sampled_from([None, 0, 1999, 2000, 9499, 9500]), st.sampled_from([None, 1500, 10_000])


@st.composite
def events(draw, times=times, types=types):
    kind, video = draw(types), draw(VIDEOS)
    about_a_video = kind not in ("app_open", "network_change", "follow")
    watched = kind in ("view_end", "play_progress")
    time = draw(times)
    return {
        "event_id": f"{draw(IDS):x}",
        "app_id": draw(APPS),
        "user_key": f"uk_{draw(USERS)}",
        "event_type": kind,
        "video_id": video if about_a_video else None,
        "target_user_key": "uk_b" if kind == "follow" else None,
        "impression_id": draw(IMPRESSIONS) if watched else None,
        "category": {"v1": "cats", "v2": "dogs", "v3": None}[video] if about_a_video else None,
        "event_time": time,
        "received_at": time + draw(DELAYS),
        "watch_ms": draw(WATCHED) if watched else None,
        "duration_ms": draw(DURATIONS) if watched else None,
        "video_duration_ms": 10_000 if video == "v1" and about_a_video else None,
    }


streams = st.lists(events(), max_size=40, unique_by=lambda e: e["event_id"])


def read_all(view, clean, now, tiles_of=oracle.tiles):
    """Features of every entity, through packed rows that were delivered in disorder, partly twice, and expired."""
    found = {}
    for entity, tiles in tiles_of(view, clean).items():
        delivered = [*tiles.items(), *list(tiles.items())[::2]]
        Random(0).shuffle(delivered)
        row = {}
        for key, state in delivered:
            merge.put(row, key, state)
        merge.expire(view, row, now)
        found[entity] = merge.read(view, merge.decode(view, merge.encode(row)), now)
    return found


@EVERY_VIEW
@given(streams, st.integers(-40, 40 * 60).map(lambda minutes: NOON + minutes * MINUTE) | times)
def test_merged_tiles_say_what_the_oracle_says(view, stream, now):
    clean = oracle.admit(stream, DAY).clean
    found = read_all(view, clean, now)
    assert found == {entity: oracle.features(view, clean, entity, now) for entity in found}


@EVERY_VIEW
@given(streams, st.sampled_from([2, 4, 7]))
def test_salts_cannot_be_seen(view, stream, salts):
    clean = oracle.admit(stream, DAY).clean
    assert read_all(replace(view, salts=salts), clean, NOON) == read_all(replace(view, salts=1), clean, NOON)


@EVERY_VIEW
@pytest.mark.parametrize("seed", range(3))
def test_the_parts_of_a_salted_tile_are_together_the_tile(view, seed):
    clean = oracle.admit(testing.stream(seed, events=1500, people=3), DAY).clean
    joined = {}
    for entity, tiles in oracle.tiles(replace(view, salts=4), clean).items():
        whole = joined.setdefault(entity, {})
        for (facet, tile_ms, start, _), state in tiles.items():
            key = facet, tile_ms, start, 0
            whole[key] = merge_states(view, whole[key], state) if key in whole else state
    assert joined == oracle.tiles(replace(view, salts=1), clean)


@EVERY_VIEW
@given(streams)
def test_an_event_is_clean_or_a_duplicate_or_late_and_nothing_else(view, stream):
    copied = stream + stream[::3]
    admitted = oracle.admit(copied, DAY)
    assert len(copied) == len(admitted.clean) + len(admitted.duplicate) + len(admitted.late)
    assert read_all(view, admitted.clean, NOON) == read_all(view, oracle.admit(stream, DAY).clean, NOON)


relations = st.lists(
    events(
        times=st.integers(0, 3).map(lambda minutes: NOON - minutes * MINUTE),
        types=st.sampled_from(["like", "unlike", "share", "unshare", "not_interested", "view_end"]),
    ).map(lambda event: event | {"received_at": NOON}),
    max_size=7,
    unique_by=lambda e: e["event_id"],
)


@EVERY_VIEW
@given(relations.flatmap(lambda stream: st.tuples(st.just(stream), st.permutations(stream))))
def test_like_and_unlike_in_every_order_end_the_same(view, both):
    stream, permuted = both
    once, again = (oracle.admit(arrived, DAY) for arrived in (stream, permuted))
    assert once.relations == again.relations
    assert read_all(view, once.clean, NOON) == read_all(view, again.clean, NOON)


@given(relations)
def test_the_likes_in_tiles_are_the_likes_that_stand(stream):
    admitted = oracle.admit(stream, DAY)
    view = VIEWS["video_engagement_v1"]
    likes = [m.name for m in view.measures].index("likes")
    minutes = [
        state.measures[likes]
        for tiles in oracle.tiles(view, admitted.clean).values()
        for key, state in tiles.items()
        if key[1] == MINUTE
    ]
    assert sum(minutes) == sum(word.on for key, word in admitted.relations.items() if key[2] == "like")


@EVERY_VIEW
@pytest.mark.parametrize("seed", range(3))
def test_a_tile_with_one_more_event_has_a_larger_n_and_a_withdrawal_only_takes_away(view, seed):
    clean = oracle.admit(testing.stream(seed, events=400, people=3), DAY).clean
    taken_back = [isinstance(m.op, Toggle | Watched) for m in view.measures]
    grown = [oracle.tiles(view, clean[:i]) for i in range(0, len(clean) + 1, 20)]
    for before, after in pairwise(grown):
        for entity, tiles in before.items():
            for key, state in tiles.items():
                later = after[entity][key]
                assert later.n >= state.n
                if later.n == state.n:
                    assert later[:4] == state[:4]
                    for less, then, now in zip(taken_back, state.measures, later.measures, strict=True):
                        assert now <= then if less else now == then


def test_of_a_minute_of_more_than_64_events_the_first_64_to_arrive_are_collected():
    view = VIEWS["user_activity_v1"]
    stream = [
        {
            "event_id": f"{i:03}", "app_id": "demo", "user_key": "uk", "event_type": "like", "video_id": f"v{i}",
            "event_time": NOON + 100 - i, "received_at": NOON + 100,
        }
        for i in range(100)
    ]  # fmt: skip
    (tiles,) = oracle.tiles(view, oracle.admit(stream, DAY).clean).values()
    (state,) = tiles.values()
    actions = state.measures[[m.name for m in view.measures].index("actions")]
    assert [action[2] for action in actions] == [f"v{i}" for i in range(63, -1, -1)]
    assert state.n == 100


def test_of_two_copies_the_first_to_arrive_counts_and_a_late_one_is_late_before_it_is_a_copy():
    first = {
        "event_id": "1", "app_id": "demo", "user_key": "uk", "event_type": "like", "video_id": "v",
        "event_time": NOON, "received_at": NOON,
    }  # fmt: skip
    second, late = first | {"received_at": NOON + 1}, first | {"received_at": NOON + DAY + 1}
    admitted = oracle.admit([first, second, late], DAY)
    assert [row["received_at"] for row in admitted.clean] == [NOON]
    assert (admitted.duplicate, admitted.late) == ([second], [late])


def test_a_clock_ahead_is_clamped_to_the_time_of_receipt():
    ahead = {
        "event_id": "1", "app_id": "demo", "user_key": "uk", "event_type": "like", "video_id": "v",
        "event_time": NOON + DAY, "received_at": NOON,
    }  # fmt: skip
    assert oracle.admit([ahead], DAY).clean[0]["time"] == NOON


@pytest.mark.parametrize("seed", range(5))
def test_every_salt_of_a_tile_is_the_same_in_whatever_order_words_arrive(seed):
    """A restored job may meet words in another order; what it leaves alone must be right already."""
    rng = Random(seed)
    words = [
        dict.fromkeys(field_names("event"))
        | {"event_id": f"e{number:02}", "app_id": "demo", "user_key": "uk_a", "video_id": f"v{rng.randrange(2)}"}
        | {"event_type": rng.choice(["like", "unlike"]), "event_time": NOON - rng.randrange(HOUR), "received_at": NOON}
        for number in range(20)
    ]
    view = VIEWS["video_engagement_v1"]
    expected = oracle.tiles(view, oracle.admit(words, DAY).clean)
    rng.shuffle(words)
    assert oracle.tiles(view, oracle.admit(words, DAY).clean) == expected
