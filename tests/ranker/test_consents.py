"""Who has not agreed to personalisation gets a feed that knows nothing of what they did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.ranker.consents import Consents
from foryou.ranker.pipeline import IMPERSONAL
from foryou.ranker.testing import APP, NOW, page_of, published, relation, small_world

ME = "uk_me"


def account(consent=None, jurisdiction=None, time=NOW, event_id="e", user_key=ME):
    return {
        "app_id": APP,
        "user_key": user_key,
        "event_id": event_id,
        "event_time": time,
        "received_at": time,
        "consent": consent,
        "jurisdiction": jurisdiction,
    }


@pytest.mark.parametrize(
    ("consent", "jurisdiction", "agreed"),
    [
        ("personalisation", "GDPR", True),
        ("analytics,personalization", None, True),
        ("analytics,advertising", None, False),
        ("", "CCPA", False),
        (None, None, True),
        (None, "CCPA", True),
        (None, "GDPR", False),
        (None, "gdpr", False),
    ],
)
def test_said_beats_unsaid_and_the_law_of_the_place_decides_for_who_said_nothing(consent, jurisdiction, agreed):
    consents = Consents()
    consents.apply(account(consent, jurisdiction))
    assert consents.personalisation(ME) is agreed


def test_a_person_nobody_heard_of_has_not_refused():
    assert Consents().personalisation("uk_nobody")


@given(st.permutations([("personalisation", 1), ("", 2), ("personalisation", 3), ("analytics", 4)]))
def test_the_newest_word_counts_in_whatever_order_words_arrive(words):
    consents = Consents()
    for consent, time in words:
        consents.apply(account(consent, time=NOW + time))
        consents.apply(account(None, time=NOW + 9))  # a change that says nothing of it changes nothing of it
    assert not consents.personalisation(ME)


def test_a_clock_that_runs_ahead_does_not_hold_a_consent_for_ever():
    consents = Consents()
    consents.apply({**account("personalisation"), "event_time": NOW + 10**9})
    consents.apply(account("", time=NOW + 1))
    assert not consents.personalisation(ME)


def test_of_one_person_the_other_learns_nothing():
    consents = Consents()
    consents.apply(account("", user_key="uk_other"))
    assert consents.personalisation(ME)


def test_the_impersonal_page_is_the_same_whatever_the_viewer_did():
    videos = [published(f"v{i}", f"genre{i % 5}", f"uk_c{i % 7}") for i in range(300)]
    plain, rich = small_world(videos), small_world(videos)
    for creator in range(7):
        rich.viewers.apply(relation(ME, "follow", f"uk_c{creator}"))
    page = page_of(plain, IMPERSONAL, user_key=ME, unavailable=True)
    assert [item.video_id for item in page_of(rich, IMPERSONAL, user_key=ME, unavailable=True).items] == [
        item.video_id for item in page.items
    ]
    assert {item.source for item in page.items} <= {"trending", "fresh_videos", "regional", "discovery"}
    assert all(
        item.features["follow"] == item.features["taste"] == item.features["affinity"] == 0 for item in page.items
    )


def test_what_the_viewer_does_not_want_to_see_is_still_not_shown():
    world = small_world([published(f"v{i}", "cats", f"uk_c{i % 2}") for i in range(40)])
    world.viewers.apply(relation(ME, "block", "uk_c0"))
    page = page_of(world, IMPERSONAL, user_key=ME, unavailable=True)
    assert page.items and {item.creator_key for item in page.items} == {"uk_c1"}
