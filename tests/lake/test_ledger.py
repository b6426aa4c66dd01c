"""The equation of a hop: what is missing is found, at its place; what is on its way is no hole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.lake.ledger import IN_FLIGHT, Clock, Hole, Place, as_rows, balance, offsets_of, totals

PLACE = Place("events.action.v1", 2)
TERMS = ("clean", "duplicate", "late")
shared_out = st.lists(st.sampled_from(TERMS), min_size=1, max_size=60)


def terms_of(names, start=100):
    return {term: offsets_of(start + n for n, name in enumerate(names) if name == term) for term in TERMS}


def whole(names, start=100):
    return np.arange(start, start + len(names))


@given(shared_out)
def test_every_offset_in_one_term_balances(names):
    line = balance("verdicts", PLACE, whole(names), terms_of(names), 100 + len(names))
    assert line.holds
    assert line.left == len(names)
    assert line.right == {term: names.count(term) for term in TERMS} | {IN_FLIGHT: 0}


@given(shared_out, st.data())
def test_whatever_is_taken_away_is_the_hole_that_is_found(names, data):
    gone = data.draw(st.sets(st.integers(100, 99 + len(names)), min_size=1))
    terms = {term: np.setdiff1d(offsets, list(gone)) for term, offsets in terms_of(names).items()}
    line = balance("verdicts", PLACE, whole(names), terms, 100 + len(names))
    found = {offset for hole in line.holes for offset in range(hole.first, hole.last + 1)}
    assert not line.holds
    assert found == gone
    assert {hole.kind for hole in line.holes} == {"missing"}
    assert all(hole.last + 1 not in gone and hole.first - 1 not in gone for hole in line.holes)


@given(shared_out, st.data())
def test_what_lies_beyond_what_was_reached_is_in_flight(names, data):
    reached = data.draw(st.integers(100, 100 + len(names)))
    terms = {term: offsets[offsets < reached] for term, offsets in terms_of(names).items()}
    line = balance("verdicts", PLACE, whole(names), terms, reached)
    assert line.holds
    assert line.right[IN_FLIGHT] == 100 + len(names) - reached


@given(shared_out, st.data())
def test_what_two_terms_claim_is_told_twice(names, data):
    number = data.draw(st.integers(0, len(names) - 1))
    terms = terms_of(names)
    other = next(term for term in TERMS if term != names[number])
    terms[other] = np.union1d(terms[other], [100 + number])
    line = balance("verdicts", PLACE, whole(names), terms, 100 + len(names))
    assert [(hole.kind, hole.first, hole.last) for hole in line.holes] == [("told twice", 100 + number, 100 + number)]


@given(shared_out)
def test_what_is_not_expected_does_not_count(names):
    terms = terms_of(names) | {"clean": np.concatenate([terms_of(names)["clean"], [5, 9_000]])}
    assert balance("verdicts", PLACE, whole(names), terms, 100 + len(names)).holds


def test_minutes_are_of_kafka_and_a_hole_says_its_first():
    clock = Clock(np.arange(100, 104), np.array([60_000, 119_999, 120_000, 180_000]))
    terms = {"bronze": offsets_of([100, 103])}
    line = balance("bronze", PLACE, np.arange(100, 105), terms, 105, clock)
    assert line.holes == (Hole("missing", 101, 102, 60_000), Hole("missing", 104, 104, None))
    assert {minute: counts["bronze"] for minute, counts in line.minutes.items()} == {
        60_000: 1,
        120_000: 0,
        180_000: 1,
        None: 0,
    }
    (row,) = as_rows([line])
    assert [minute["minute"] for minute in row["minutes"]] == [60_000, 120_000, 180_000, None]


@pytest.mark.parametrize("hole", [True, False])
def test_a_total_holds_when_all_its_partitions_do(hole):
    good = balance("bronze", Place("t", 0), np.arange(3), {"bronze": np.arange(3)}, 3)
    other = balance("bronze", Place("t", 1), np.arange(3), {"bronze": np.arange(2 if hole else 3)}, 3)
    (total,) = totals([good, other])
    assert (total.left, total.right["bronze"], total.holds) == (6, 5 if hole else 6, not hole)
