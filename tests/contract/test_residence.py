"""Where a record lives is decided from the record alone."""

import pytest

from foryou.contract.residence import HOME, Residency

RULES = Residency(apps={"shop": "us"}, regions={"DE": "eu", "FR": "eu"})


@pytest.mark.parametrize(
    ("record", "lives"),
    [
        ({"app_id": "demo", "region": "DE"}, "eu"),
        ({"app_id": "demo", "region": "de-BY"}, "eu"),
        ({"app_id": "demo", "region": "JP"}, HOME),
        ({"app_id": "demo", "region": None}, HOME),
        ({"app_id": "demo"}, HOME),  # a dead letter
        ({"app_id": "shop", "region": "DE"}, "us"),  # the app goes before
        ({"app_id": "shop"}, "us"),
        ({}, HOME),
    ],
)
def test_the_app_decides_else_the_region_that_the_record_says(record, lives):
    assert RULES.of(record) == lives


def test_without_rules_everything_lives_at_home():
    assert Residency().of({"app_id": "demo", "region": "DE"}) == HOME
