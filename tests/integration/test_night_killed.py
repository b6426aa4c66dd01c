"""The night writes the same rows when it runs twice, and when it was killed (-9) anywhere and goes on."""

import os
import random
import shutil
import time

import pytest

from foryou.lake import days
from foryou.lake.tables import Lake

from . import generated
from .inbox import lay_down
from .night_runs import NightRun, fingerprints

SEEDS = [int(seed) for seed in os.environ.get("FORYOU_NIGHT_SEEDS", "1 2 3").split()]
NOW = 1_790_000_000_000
DAY = days.day_of(NOW).isoformat()
STEPS = os.environ.get("FORYOU_NIGHT_STEPS", "bronze,silver,tiles")
pytestmark = pytest.mark.timeout(1_200)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A home whose night went through, how long that took, and what it wrote."""
    home = tmp_path_factory.mktemp("whole")
    _history(home)
    begin = time.monotonic()
    _night(home).finish()
    return home, time.monotonic() - begin, fingerprints(Lake(home / "lake"))


def _history(home):
    lake = Lake(home / "lake")
    lay_down(lake, "a-catalogue", generated.videos("night", 200, NOW - 10_000_000))
    lay_down(lake, "b-events", generated.actions("night", 11, 4_000, NOW, people=300, catalogue=200), [b"broken"])


def _night(home):
    return NightRun(home, "--date", DAY, "--offline", "--steps", STEPS, "--memory", "1g")


def test_a_night_that_runs_twice_writes_the_same_rows(whole):
    home, _, wrote = whole
    for run in (home / "lake" / "runs").glob("*.json"):
        run.unlink()
    _night(home).finish()
    assert fingerprints(Lake(home / "lake")) == wrote


@pytest.mark.parametrize("seed", SEEDS)
def test_a_night_that_was_killed_and_goes_on_writes_the_same_rows(whole, tmp_path, seed):
    _, seconds, wrote = whole
    rng, home = random.Random(seed), tmp_path / "home"
    home.mkdir()
    _history(home)
    kills = 0
    for _ in range(2):
        kills += _night(home).kill_after(rng.uniform(0.05, 0.45) * seconds)
    _night(home).finish()
    assert kills > 0, "it was over before it could be killed"
    assert fingerprints(Lake(home / "lake")) == wrote, f"seed {seed}"
    shutil.rmtree(home)
