"""What a publication claims in the online store's topics never falls, whatever days a night is about."""

from datetime import date

import pytest

from foryou.features.operations import DAY
from foryou.lake.days import start_of
from foryou.lake.publish import Claim, claim
from foryou.lake.tables import Lake

TODAY, LONG_AGO = date(2026, 11, 27), date(2026, 10, 1)
NOW = start_of(TODAY) + 3 * DAY


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def test_a_first_night_claims_up_to_its_last_day(lake):
    assert claim(lake, NOW, TODAY) == Claim(start_of(TODAY) + DAY, NOW)


def test_a_night_over_the_past_counts_more_and_claims_no_less(lake):
    first = claim(lake, NOW, TODAY)
    past = claim(lake, NOW + 5, LONG_AGO)
    assert past == Claim(first.cutoff, NOW + 5)


def test_a_publication_that_broke_off_or_goes_on_late_is_followed_by_one_that_counts_more(lake):
    claims = [claim(lake, NOW, TODAY), claim(lake, NOW, TODAY), claim(lake, NOW - DAY, TODAY)]
    assert [each.epoch for each in claims] == [NOW, NOW + 1, NOW + 2]
    assert len({each.cutoff for each in claims}) == 1
