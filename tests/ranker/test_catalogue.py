"""The catalogue folds partial content events, whatever order they come in and however often."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.ranker.catalogue import Catalogue
from foryou.ranker.testing import NOW, content, published

SECOND = 1_000


def fold(events: list[dict[str, Any]]) -> Catalogue:
    catalogue = Catalogue(64)
    for event in events:
        catalogue.apply(event)
    return catalogue


def described(catalogue: Catalogue, video_id: str) -> dict[str, Any]:
    row = catalogue.find(video_id)
    return {
        "category": catalogue.category_name(row),
        "creator": catalogue.creator_key(row),
        "language": catalogue.languages.words[int(catalogue.language[row])],
        "region": catalogue.regions.words[int(catalogue.region[row])],
        "duration_ms": int(catalogue.duration_ms[row]),
        "published_at": int(catalogue.published_at[row]),
        "eligible": bool(catalogue.eligible[row]),
    }


def test_a_publication_says_what_the_video_is():
    catalogue = fold([published("v", "cats", "uk_anna", time=NOW)])
    assert described(catalogue, "v") == {
        "category": "cats",
        "creator": "uk_anna",
        "language": "en",
        "region": "DE",
        "duration_ms": 15_000,
        "published_at": NOW,
        "eligible": True,
    }


def test_an_update_changes_only_what_it_names():
    before = described(fold([published("v", "cats", time=NOW)]), "v")
    updated = fold([published("v", "cats", time=NOW), content("video_updated", "v", NOW + SECOND, category="dogs")])
    assert described(updated, "v") == before | {"category": "dogs"}


def test_an_older_update_that_arrives_later_still_fills_what_nobody_said_since():
    events = [
        published("v", "cats", time=NOW),
        content("video_updated", "v", NOW + 2 * SECOND, category="dogs"),
        content("video_updated", "v", NOW + SECOND, category="birds", language="fr"),
    ]
    assert described(fold(events), "v")["category"] == "dogs"
    assert described(fold(events), "v")["language"] == "fr"


def test_a_video_is_eligible_only_while_published_allowed_and_not_removed():
    steps = [
        (content("video_updated", "v", NOW, category="cats"), False),
        (published("v", time=NOW + SECOND), True),
        (content("video_moderated", "v", NOW + 2 * SECOND, moderation="blocked"), False),
        (content("video_moderated", "v", NOW + 3 * SECOND, moderation="allowed"), True),
        (content("video_removed", "v", NOW + 4 * SECOND), False),
        (published("v", time=NOW + 5 * SECOND), True),
    ]
    catalogue = Catalogue(8)
    for event, eligible in steps:
        catalogue.apply(event)
        assert bool(catalogue.eligible[catalogue.find("v")]) is eligible, event["event_type"]


def test_a_publication_that_is_sent_again_does_not_revive_a_removed_video():
    first = published("v", time=NOW)
    again = first | {"received_at": NOW + 9 * SECOND}
    assert not fold([first, content("video_removed", "v", NOW + SECOND), again]).eligible[0]


def test_an_older_publication_that_arrives_after_the_removal_does_not_revive_either():
    older = published("v", time=NOW + SECOND, received_at=NOW + 9 * SECOND)
    removal = content("video_removed", "v", NOW + 2 * SECOND)
    assert not fold([published("v", time=NOW), removal, older]).eligible[0]


def test_a_removal_from_a_clock_that_runs_behind_still_removes():
    removal = content("video_removed", "v", NOW - 3_600 * SECOND, received_at=NOW + SECOND)
    assert not fold([published("v", time=NOW), removal]).eligible[0]


def test_a_clock_that_runs_ahead_is_clamped_by_ours():
    ahead = content("video_updated", "v", NOW + 86_400_000, received_at=NOW + SECOND, category="dogs")
    later = content("video_updated", "v", NOW + 2 * SECOND, category="birds")
    assert described(fold([published("v", time=NOW), ahead, later]), "v")["category"] == "birds"


def test_more_videos_than_there_is_room_for_are_refused_and_counted():
    catalogue = Catalogue(2)
    rows = [catalogue.apply(published(f"v{i}")) for i in range(4)]
    assert (rows, catalogue.refused, len(catalogue)) == ([0, 1, -1, -1], 2, 2)


times = st.integers(0, 4).map(lambda s: NOW + s * SECOND)
events = st.one_of(
    st.builds(lambda t, c: published("v", c, time=t), times, st.sampled_from(["cats", "dogs"])),
    st.builds(lambda t, c: content("video_updated", "v", t, category=c, region="BR"), times, st.sampled_from("ab")),
    st.builds(
        lambda t, m: content("video_moderated", "v", t, moderation=m), times, st.sampled_from(["allowed", "blocked"])
    ),
    st.builds(lambda t: content("video_removed", "v", t), times),
)


@given(st.lists(events, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_arrival_and_repetitions_do_not_matter(history, random):
    shuffled = [*history, *history[: len(history) // 2]]
    random.shuffle(shuffled)
    assert described(fold(shuffled), "v") == described(fold(history), "v")


@pytest.mark.parametrize("absent", ["category", "language", "region"])
def test_what_nobody_said_is_unknown_and_no_error(absent):
    row = published("v") | {absent: None}
    assert fold([row]).eligible[0]
