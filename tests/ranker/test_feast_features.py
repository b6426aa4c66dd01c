"""Reading features keeps to its budget, whatever the store does."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from foryou.ranker.feast_features import FeastFeatures
from foryou.ranker.testing import NOW
from foryou.ranker.user_features import FeaturesUnavailable, UserFeatures


class Store:
    """Feast's store, as far as it is used, with a gate that can be shut."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.breaks = False

    def get_online_features(self, service: str, rows: list[dict[str, str]]) -> "Store":
        self.open.wait(2)
        if self.breaks:
            raise OSError("disk")
        self.asked = (service, rows)
        return self

    def to_dict(self) -> dict[str, list[Any]]:
        row = self.asked[1][0]
        return {name: [value] for name, value in row.items()} | {"likes_24h": [3], "skip_streak": [None]}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def features(store):
    reader = FeastFeatures(Path("absent.yaml"), budget_s=0.05)
    reader._opened = (store, "ranking_v1")
    yield reader
    store.open.set()
    reader.stop()


def read(features: FeastFeatures) -> UserFeatures:
    return asyncio.run(features.read("demo", "uk_me", NOW))


def test_values_come_by_name_without_keys_and_without_what_is_not_known(features, store):
    assert read(features) == UserFeatures(NOW, {"likes_24h": 3})
    assert store.asked == ("ranking_v1", [{"app_id": "demo", "user_key": "uk_me"}])


def test_a_store_that_hangs_costs_the_budget_and_no_more(features, store):
    store.open.clear()
    started = time.monotonic()
    with pytest.raises(FeaturesUnavailable, match="50 ms"):
        read(features)
    assert time.monotonic() - started < 2.0


def test_behind_a_store_that_hangs_requests_do_not_pile_up(features, store):
    store.open.clear()

    async def many() -> list[Any]:
        reads = [features.read("demo", "uk_me", NOW) for _ in range(200)]
        return await asyncio.gather(*reads, return_exceptions=True)

    assert sum("hangs" in str(error) for error in asyncio.run(many())) >= 100


def test_a_store_that_fails_is_unavailable_and_says_why_until_it_answers_again(features, store):
    store.breaks = True
    with pytest.raises(FeaturesUnavailable, match="disk"):
        read(features)
    assert "disk" in features.lacks
    store.breaks = False
    assert read(features).values == {"likes_24h": 3}
    assert features.lacks is None


def test_a_store_that_is_not_there_yet_is_unavailable_not_an_error(tmp_path):
    reader = FeastFeatures(tmp_path / "reader.yaml")
    with pytest.raises(FeaturesUnavailable, match="not open"):
        read(reader)
