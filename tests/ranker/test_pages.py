"""The feed's promises, on the whole pipeline with a world in memory."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foryou.features.operations import HOUR, MINUTE
from foryou.ranker.catalogue import Rows
from foryou.ranker.pipeline import PIPELINE, Page, rank
from foryou.ranker.query import Query
from foryou.ranker.testing import NOW, content, grown_world, page_of, published, query_of, relation, small_world, tile
from foryou.ranker.weights import Weights
from foryou.ranker.world import World

ME = "uk_viewer"
GENRES = [f"genre{i}" for i in range(10)]


@pytest.fixture(scope="module")
def grown() -> World:
    return grown_world(3_000, categories=10)


def ids(page: Page) -> list[str]:
    return [item.video_id for item in page.items]


def categories(page: Page) -> Counter[str | None]:
    return Counter(item.category for item in page.items)


def forty(creators: int = 20) -> World:
    return small_world(published(f"v{i}", GENRES[i % 10], f"uk_c{i % creators}") for i in range(40))


creators = st.sets(st.integers(0, 19).map(lambda i: f"uk_c{i}"), max_size=8)
videos = st.sets(st.integers(0, 39).map(lambda i: f"v{i}"), max_size=15)


@settings(max_examples=60, deadline=None)
@given(
    removed=videos, stopped=videos, seen=videos, refused=videos, blocked=creators, blockers=creators, hidden=creators,
    available=st.booleans(), limit=st.integers(1, 50),
)  # fmt: skip
def test_nothing_that_must_not_be_shown_is_ever_on_a_page_and_all_the_rest_can_be(
    removed, stopped, seen, refused, blocked, blockers, hidden, available, limit
):
    world = forty()
    for video in removed:
        world.catalogue.apply(content("video_removed", video))
    for video in stopped:
        world.catalogue.apply(content("video_moderated", video, moderation="blocked"))
    words = [("block", who) for who in blocked] + [("hide_creator", who) for who in hidden]
    for name, thing in words + [("not_interested", video) for video in refused]:
        world.viewers.apply(relation(ME, name, thing))
    for who in blockers:
        world.viewers.apply(relation(who, "block", ME))
    world.viewers.mark_served(ME, [world.catalogue.find(video) for video in seen])
    page = page_of(world, limit=limit, unavailable=not available)
    out = {f"v{i}" for i in range(40) if f"uk_c{i % 20}" in blocked | blockers | hidden}
    allowed = {f"v{i}" for i in range(40)} - removed - stopped - seen - refused - out
    assert set(ids(page)) <= allowed
    assert len(ids(page)) == len(set(ids(page))) == min(limit, len(allowed))


def test_a_removal_counts_at_once_although_the_shelves_are_older():
    world = forty()
    query = query_of(world, limit=40)
    world.catalogue.apply(content("video_removed", "v7", NOW + 1))
    page = rank(query)
    assert "v7" not in ids(page)
    assert page.removed["eligible_filter"].tolist() == [world.catalogue.find("v7")]


def test_a_video_announced_for_later_waits_for_its_time():
    world = small_world([published("now"), published("later", published_at=NOW + HOUR)])
    assert ids(page_of(world)) == ["now"]


def test_a_creator_does_not_see_own_videos():
    world = small_world([published("mine", creator=ME), published("theirs")])
    assert ids(page_of(world, user_key=ME)) == ["theirs"]


def test_pages_never_repeat_a_video_until_there_is_none_left():
    world, shown = forty(), []
    for request in range(6):
        page = page_of(world, request_id=f"r{request}")
        world.viewers.mark_served(ME, page.rows.tolist())
        shown += ids(page)
    assert sorted(shown) == sorted(f"v{i}" for i in range(40))


def test_what_the_viewer_met_elsewhere_is_seen_too():
    page = page_of(forty(), limit=50, features={"recent_videos": ["v4", "unknown"]})
    assert set(ids(page)) == {f"v{i}" for i in range(40)} - {"v4"}


def test_a_busy_viewer_who_has_seen_all_the_best_still_gets_a_full_page(grown):
    best = [grown.restock(Weights.load(), NOW).by_category.of(code)[:150] for code in range(11)]
    grown.viewers.mark_served("uk_busy", np.concatenate(best).tolist())
    liking = {"affinity_categories": GENRES, "affinity_scores": [3.0] * 10}
    assert len(page_of(grown, user_key="uk_busy", features=liking).items) == 10


def test_an_unknown_viewer_gets_a_full_and_diverse_page(grown):
    page = page_of(grown, user_key="uk_nobody")
    assert len(page.items) == 10
    assert max(categories(page).values()) <= 2
    assert len({item.creator_key for item in page.items}) == 10
    assert len({item.source for item in page.items}) >= 2


def test_ten_likes_in_one_category_change_the_very_next_page_visibly(grown):
    before = page_of(grown, user_key="uk_nobody", request_id="before")
    # What user_category_v1 says after ten likes of videos watched to the end, boosted for being recent.
    liked = {"affinity_categories": ["genre6"], "affinity_scores": [3.6], "recent_categories": ["genre6"]}
    after = page_of(grown, user_key="uk_nobody", request_id="after", features=liked | {"session_length_ms": 60_000})
    assert categories(before)["genre6"] <= 2
    assert categories(after)["genre6"] >= categories(before)["genre6"] + 3
    assert len(categories(after)) >= 3, "and other things have their place still"


def test_a_disliked_category_goes_away(grown):
    disliked = {"affinity_categories": [GENRES[2]], "affinity_scores": [-6.0]}
    assert categories(page_of(grown, features=disliked))[GENRES[2]] == 0


def test_a_follow_brings_the_creators_videos(grown):
    creator = "uk_" + f"{77:022d}"
    grown.viewers.apply(relation("uk_fan", "follow", creator))
    page = page_of(grown, user_key="uk_fan")
    assert {item.source for item in page.items if item.creator_key == creator} == {"followed_creators"}


def test_without_features_the_page_comes_from_trends_and_is_full(grown):
    page = page_of(grown, unavailable=True)
    assert len(page.items) == 10
    assert page.brought["category_affinity"] == 0
    assert "trending" in {item.source for item in page.items}


def test_what_takes_off_now_is_shown_first_among_equals():
    world = forty()
    world.rates.advance(NOW)
    world.rates.apply(tile("v13", MINUTE, NOW - NOW % MINUTE, 200, plays=200))
    world.rates.apply(tile("v13", HOUR, NOW - NOW % HOUR, 200, plays=200))
    item = page_of(world).items[0]
    assert (item.video_id, item.source) == ("v13", "trending")


def test_region_and_language_are_heard(grown):
    page = page_of(grown, unavailable=True, region="JP", language="ja")
    japanese = sum(grown.catalogue.languages.words[grown.catalogue.language[row]] == "ja" for row in page.rows)
    assert japanese >= 5


def test_uploads_get_a_place_whatever_their_score():
    old = [published(f"old{i}", GENRES[i % 10], f"uk_o{i}", time=NOW - 20 * 24 * HOUR) for i in range(40)]
    world = small_world([*old, *(published(f"new{i}", "dull", f"uk_n{i}") for i in range(5))])
    world.rates.advance(NOW)
    for event in old:
        loved = {"plays": 100, "views": 100, "finishes": 90, "likes": 30}
        world.rates.apply(tile(event["video_id"], HOUR, NOW - NOW % HOUR, 100, **loved))
    bored = {"affinity_categories": ["dull"], "affinity_scores": [-3.0]}
    pages = [page_of(world, features=bored, request_id=f"r{i}") for i in range(10)]
    assert [sum(item.source == "fresh_videos" for item in page.items) for page in pages] == [1] * 10


class SeenAgainSource:
    """A source that forgot to look at what was seen."""

    def fetch(self, query: Query) -> Rows:
        return np.arange(len(query.world.catalogue), dtype=np.int32)


def test_a_careless_source_cannot_bring_back_a_seen_video():
    world = forty()
    world.viewers.mark_served(ME, [3])
    careless = replace(PIPELINE, sources=(SeenAgainSource(), *PIPELINE.sources))
    page = page_of(world, careless, limit=50)
    assert len(page.items) == 39
    assert {name: rows.tolist() for name, rows in page.removed.items() if len(rows)} == {"seen_videos_filter": [3]}


def test_one_creator_has_one_place_on_a_page_of_ten_and_five_on_one_of_fifty(grown):
    for limit, most in ((10, 1), (50, 5)):
        assert max(Counter(item.creator_key for item in page_of(grown, limit=limit).items).values()) <= most


@pytest.mark.parametrize("limit", [1, 2, 10, 50])
def test_caps_never_starve_a_page_and_what_breaks_them_is_counted(limit):
    world = small_world(published(f"v{i}", "cats", "uk_only") for i in range(60))
    page = page_of(world, limit=limit)
    assert len(page.items) == limit
    assert page.relaxed == limit - 1 if limit <= 10 else page.relaxed > 0


def test_a_world_without_videos_gives_an_empty_page():
    assert page_of(small_world()).items == ()


def test_the_same_request_gives_the_same_page_and_another_one_explores(grown):
    assert ids(page_of(grown)) == ids(page_of(grown))
    assert ids(page_of(grown)) != ids(page_of(grown, request_id="another"))


def test_items_say_what_they_were_scored_on(grown):
    item = page_of(grown, features={"affinity_categories": ["genre1"], "affinity_scores": [1.0]}).items[0]
    weights = Weights.load()
    exponent = sum(getattr(weights.terms, name) * item.features[name] for name in vars(weights.terms))
    score = item.features["value"] * np.exp(exponent) * (1 + max(item.features["noise"], -0.9))
    assert item.score == pytest.approx(score)


def test_positions_and_impressions_are_the_pages_own(grown):
    page = page_of(grown, limit=20)
    assert [item.position for item in page.items] == list(range(20))
    assert len({item.impression_id for item in page.items}) == 20


def test_a_weight_that_changes_changes_the_page(grown):
    weights = Weights.load()
    loud = replace(weights, diversity=replace(weights.diversity, category_share=1.0, repeat_discount=1.0))
    liking = {"affinity_categories": ["genre1"], "affinity_scores": [30.0]}
    assert categories(page_of(grown, features=liking, weights=loud))["genre1"] > 8
