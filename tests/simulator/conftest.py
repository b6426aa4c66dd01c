"""A small world, made once; and a clock that passes only when somebody sleeps."""

import pytest

from foryou.simulator.catalogue import grow
from foryou.simulator.people import Clock, World
from foryou.simulator.population import settle
from foryou.simulator.truth import Truth

NOON = 1_790_000_000_000


@pytest.fixture(scope="session")
def world() -> World:
    catalogue, population = grow(1, NOON, 20_000), settle(1)
    return World(catalogue, population, Truth(population, catalogue))


@pytest.fixture
def clock() -> Clock:
    now = [float(NOON)]

    async def sleep(seconds: float) -> None:
        now[0] += seconds * 1_000

    return Clock(now_ms=lambda: int(now[0]), sleep=sleep)
