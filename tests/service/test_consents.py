"""Who has not agreed to personalisation gets a feed that knows nothing of what they did."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.contract.consent import Purpose
from foryou.ranker.pipeline import IMPERSONAL
from foryou.ranker.testing import APP, NOW, page_of, published, relation, small_world
from foryou.service import gate_settings
from foryou.service.consents import Consents, Standing
from foryou.service.gate_settings import ConsentTable

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
    assert consents.to(Purpose.PERSONALISATION, ME) is agreed


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize(
    ("jurisdiction", "said", "otherwise", "agreed"),
    [
        ("gdpr", None, "opt_out", False),
        ("ccpa", None, "opt_in", True),
        ("narnia", None, "opt_out", True),
        ("narnia", None, "opt_in", False),
        (None, None, "opt_in", False),
        ("ccpa", "", "opt_out", False),
        ("gdpr", "ads,analytics,personalisation", "opt_in", True),
    ],
)
def test_one_rule_for_every_purpose_and_jurisdiction(purpose, jurisdiction, said, otherwise, agreed):
    law = ConsentTable(("GDPR",), ("CCPA",), otherwise).law()
    assert law.consents(purpose, jurisdiction, said) is agreed


def test_what_is_known_of_a_person_says_since_when():
    consents = Consents()
    consents.apply(account(None, "GDPR"))
    consents.apply(account("advertising", None, NOW + 1))
    wanted = {Purpose.ANALYTICS: False, Purpose.PERSONALISATION: False, Purpose.ADS: True}
    assert consents.standing(ME) == Standing(wanted, "GDPR", NOW + 1, NOW)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('otherwise = "maybe"', 'say "opt_in" or "opt_out"'),
        ('opt_out = ["Gdpr"]', "'gdpr' is in opt_in and in opt_out: leave it in one of them"),
        ("purposes = []", "purposes"),
    ],
)
def test_a_table_that_says_nothing_clear_is_refused_with_a_remedy(tmp_path, said, told):
    (tmp_path / "gate.toml").write_text(f"[consent]\n{said}\n")
    with pytest.raises(ValueError, match=r"gate\.toml.*" + re.escape(told)):
        gate_settings.load(tmp_path / "gate.toml")


def test_a_person_nobody_heard_of_has_not_refused():
    assert Consents().to(Purpose.PERSONALISATION, "uk_nobody")


@given(st.permutations([("personalisation", 1), ("", 2), ("personalisation", 3), ("analytics", 4)]))
def test_the_newest_word_counts_in_whatever_order_words_arrive(words):
    consents = Consents()
    for consent, time in words:
        consents.apply(account(consent, time=NOW + time))
        consents.apply(account(None, time=NOW + 9))  # a change that says nothing of it changes nothing of it
    assert not consents.to(Purpose.PERSONALISATION, ME)


def test_of_two_words_of_one_millisecond_only_what_both_allow_holds():
    for order in itertools.permutations(("ads,personalisation", "personalisation", "analytics,personalisation")):
        consents = Consents()
        for number, said in enumerate(order):
            consents.apply({**account(said), "event_id": f"e{number}"})
        assert [purpose for purpose in Purpose if consents.to(purpose, ME)] == [Purpose.PERSONALISATION]
        consents.apply({**account(""), "event_id": "a"})
        assert not consents.to(Purpose.PERSONALISATION, ME)


def test_a_clock_that_runs_ahead_does_not_hold_a_consent_for_ever():
    consents = Consents()
    consents.apply({**account("personalisation"), "event_time": NOW + 10**9})
    consents.apply(account("", time=NOW + 1))
    assert not consents.to(Purpose.PERSONALISATION, ME)


def test_of_one_person_the_other_learns_nothing():
    consents = Consents()
    consents.apply(account("", user_key="uk_other"))
    assert consents.to(Purpose.PERSONALISATION, ME)


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
