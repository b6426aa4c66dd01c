"""What viewers said: the newest word wins in any order. What they saw: never forgotten within the bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.ranker.testing import NOW, relation
from foryou.ranker.viewers import Viewers

words = st.builds(
    lambda name, thing, state, time, event_id: relation("uk_me", name, thing, state, NOW + time, event_id),
    st.sampled_from(["follow", "block", "hide_creator", "not_interested"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["on", "off"]),
    st.integers(0, 3),
    st.uuids().map(str),
)


def told(history: list[dict]) -> Viewers:
    viewers = Viewers()
    for word in history:
        viewers.apply(word)
    return viewers


def everything(viewers: Viewers) -> dict[str, list[str]]:
    on = {
        name: sorted(viewers.objects("uk_me", name)) for name in ("follow", "block", "hide_creator", "not_interested")
    }
    return on | {"blockers": sorted(thing for thing in "ab" if viewers.blockers(thing))}


@given(st.lists(words, max_size=10, unique_by=lambda w: w["event_id"]), st.randoms(use_true_random=False))
def test_the_newest_word_wins_in_any_order_of_arrival(history, random):
    newest: dict[tuple[str, str], dict] = {}
    for word in sorted(history, key=lambda w: (w["time"], w["event_id"])):
        newest[word["relation"], word["object"]] = word
    on = [(name, thing) for (name, thing), word in newest.items() if word["state"] == "on"]
    expected = {
        name: sorted(thing for n, thing in on if n == name)
        for name in ("follow", "block", "hide_creator", "not_interested")
    }
    shuffled = [*history, *history]
    random.shuffle(shuffled)
    assert everything(told(shuffled)) == expected | {"blockers": expected["block"]}


def test_likes_are_not_kept():
    assert told([relation("uk_me", "like", "v")]).objects("uk_me", "like") == []


def test_one_viewers_word_says_nothing_about_another():
    assert told([relation("uk_me", "follow", "a")]).objects("uk_you", "follow") == []


def test_what_was_served_is_seen_and_saying_it_twice_changes_nothing():
    viewers = Viewers()
    viewers.mark_served("uk_me", [3, 4])
    viewers.mark_served("uk_me", [3, 4])
    assert viewers.seen("uk_me").tolist() == [3, 4]
    assert viewers.seen("uk_you").tolist() == []


@pytest.mark.parametrize("pages", [10, 100])
def test_the_newest_seen_videos_are_kept_and_memory_is_bounded(pages):
    viewers = Viewers(per_viewer=100)
    for page in range(pages):
        viewers.mark_served("uk_me", range(page * 10, page * 10 + 10))
    seen = viewers.seen("uk_me").tolist()
    assert seen[-100:] == list(range(pages * 10 - 100, pages * 10))
    assert len(seen) <= 125


def test_the_viewers_served_last_are_remembered():
    viewers = Viewers(viewers=2)
    for who in ("uk_a", "uk_b", "uk_a", "uk_c"):
        viewers.mark_served(who, [1])
    assert [viewers.seen(who).tolist() for who in ("uk_a", "uk_b", "uk_c")] == [[1], [], [1]]
    assert viewers.forgotten == 1
