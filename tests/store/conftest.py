import pytest

from foryou.features.definitions import VIEWS
from foryou.service.metrics import Metrics
from foryou.store.rocks import RocksRows
from foryou.store.rows import MemoryRows
from foryou.store.testing import TileTopics
from foryou.store.writer import Writer

NOON = 1_795_176_000_000  # 2026-11-20 12:00 UTC, a whole hour


class Clock:
    """A clock that a test sets."""

    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "rocks"])
def rows(request, tmp_path):
    opened = MemoryRows() if request.param == "memory" else RocksRows(tmp_path / "rocks")
    yield opened
    opened.close()


@pytest.fixture
def topics():
    return TileTopics()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def writer(rows, topics, metrics, clock):
    return Writer(rows, topics.source, topics.decode, VIEWS, metrics, clock)
