"""What a period is and what the rules say, without Spark."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from foryou.lake.signal_strengths import CONDITIONS
from foryou.lake.trends import DIMENSIONS, Period, Rules, first_day

DAY = date(2026, 11, 20)


def at(day, hour=0):
    return int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp() * 1000)


def test_a_day_is_compared_with_the_day_before():
    assert Period.ending("day", DAY) == Period("day", at(19), at(20), at(21))


def test_a_week_is_the_seven_days_that_end_with_the_date():
    assert Period.ending("week", DAY) == Period("week", at(7), at(14), at(21))


def test_what_is_read_begins_where_the_longest_comparison_does():
    assert first_day(DAY) == date(2026, 11, 7)


def test_every_weight_is_of_a_known_signal_and_every_dimension_has_a_length():
    rules = Rules.load()
    assert rules.weights.keys() <= CONDITIONS.keys()
    assert rules.most.keys() == set(DIMENSIONS)
    assert rules.half_life_hours.keys() == {"day", "week"}


def test_rules_that_lack_a_number_are_refused_by_its_name(tmp_path):
    lacking = tmp_path / "trends.toml"
    lacking.write_text("[weights]\n")
    with pytest.raises(msgspec.ValidationError, match="half_life_hours"):
        Rules.load(lacking)
