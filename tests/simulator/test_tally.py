"""The books of a demo: exact for the simulator's people, and for others who post meanwhile as exact as counters are."""

from dataclasses import replace

import pytest

from foryou.simulator.tally import Counted, Lanes, Others, Tally, equations

TALLY = Tally(sent=110, accepted=100, rejected=10, broken_made=10, duplicates_made=5, late_made=3)
COUNTED = Counted(received=110, accepted=100, rejected=10, limited=0, letters=10)
LANES = Lanes(accepted=100, rejected=10, clean=92, duplicate=5, late=3)


def broken(tally=TALLY, counted=COUNTED, lanes=LANES):
    return {each.name: each.left - each.right for each in equations(tally, counted, lanes) if not each.holds}


def names(counted):
    return [each.name for each in equations(TALLY, counted, LANES)]


def test_with_nobody_else_every_equation_is_about_the_simulators_people():
    assert broken() == {}
    assert not any("others" in name for name in names(COUNTED))


def test_events_of_others_break_nothing_and_are_named():
    counted = replace(COUNTED, received=178, accepted=168)
    lanes = replace(LANES, accepted=168, clean=150, duplicate=12, late=6)
    assert broken(counted=counted, lanes=lanes) == {}
    assert Others.beside(TALLY, counted) == Others(accepted=68, rejected=0)
    assert [name for name in names(counted) if "of others" in name] == [
        "answered accepted + of others = by the collector",
        "answered rejected + of others = by the collector",
        "sent twice + of others = duplicate",
        "days old + of others = late",
    ]


def test_a_post_of_1001_events_is_1001_refusals_and_one_dead_letter():
    counted = replace(COUNTED, received=1_111, rejected=1_011, letters=11)
    assert broken(counted=counted, lanes=replace(LANES, rejected=11)) == {}
    assert Others.beside(TALLY, counted) == Others(accepted=0, rejected=1_001)


def test_what_others_sent_too_fast_is_received_and_limited():
    assert broken(counted=replace(COUNTED, received=160, limited=50)) == {}


@pytest.mark.parametrize(
    ("counted", "lanes", "wrong"),
    [
        ({"accepted": 99, "received": 109}, {}, "answered accepted = by the collector"),
        ({"rejected": 9, "received": 109}, {}, "answered rejected = by the collector"),
        ({"received": 111}, {}, "received = accepted + rejected + limited, by the collector"),
        ({}, {"accepted": 99}, "accepted by the collector = in the lanes"),
        ({}, {"rejected": 9}, "dead letters of the collector = in Kafka"),
        ({}, {"clean": 91}, "accepted = clean + duplicate + late"),
        ({}, {"duplicate": 6}, "sent twice = duplicate"),
        ({}, {"late": 4}, "days old = late"),
    ],
)
def test_one_event_too_few_or_too_many_is_found_at_its_hop(counted, lanes, wrong):
    assert wrong in broken(counted=replace(COUNTED, **counted), lanes=replace(LANES, **lanes))


def test_others_explain_no_more_copies_than_they_sent():
    counted, lanes = replace(COUNTED, received=112, accepted=102), replace(LANES, accepted=102, clean=90)
    assert broken(counted=counted, lanes=replace(lanes, duplicate=6, late=6)) == {"days old + of others = late": -2}
    assert broken(counted=counted, lanes=replace(lanes, duplicate=9)) == {"sent twice + of others = duplicate": -2}
