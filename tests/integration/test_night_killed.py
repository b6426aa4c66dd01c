"""The night writes the same rows when it runs twice, and when it was killed (-9) anywhere and goes on: in Delta, in
ClickHouse and in the online store.

A stack of its own (no Flink: nothing is live), a lake of its own per seed, the same events for another app each time,
so that what one night left cannot answer for another.
"""

import os
import random
import shutil
import time
from pathlib import Path

import httpx
import pytest

from foryou.features.definitions import VIEWS
from foryou.lake import days
from foryou.lake.delta_files import read
from foryou.lake.night import STEPS, load
from foryou.lake.tables import Lake
from foryou.local import lifecycle
from foryou.service.settings import Settings

from . import generated
from .conftest import QUICK
from .inbox import lay_down
from .lanes import until
from .night_hashes import of_clickhouse, of_lake, of_store
from .night_runs import NightRun

SEEDS = [int(seed) for seed in os.environ.get("FORYOU_NIGHT_SEEDS", "").split()]  # make drill has thirty
OFFSET = "2500"  # the test stack has 1000; no port of one is a port of the other
PARTS = "kafka,registry,store,analytics"
TODAY = days.day_of(time.time_ns() // 1_000_000)
DAY = days.day_of(days.start_of(TODAY) - 2 * days.DAY_MS)
NOW = days.start_of(DAY) + 14 * 3_600_000
WHOLE = "night00"
# Most of a small night is compiling; the first one does it from its tiles on, so that both of Spark's ways give the
# same rows.
UNCOMPILED = "-Dspark.sql.codegen.wholeStage=false -Dspark.sql.codegen.factoryMode=NO_CODEGEN"
pytestmark = pytest.mark.timeout(1_200)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Environment and settings of the stack that the nights run beside."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FORYOU_")}
    home = tmp_path_factory.mktemp("night") / "home"
    environ = {**ours, "FORYOU_HOME": str(home), "FORYOU_PORT_OFFSET": OFFSET}
    settings = Settings.load(environ)
    lifecycle.start(settings, environ | {"FORYOU_ONLY": PARTS})
    state = lifecycle.wait_ready(settings, 120)
    assert state is not None and state.ready, state
    yield settings, environ
    lifecycle.stop(settings)


@pytest.fixture(scope="module")
def whole(night):
    """What a night that was killed amid its tiles and went on did, what it wrote, and what the store serves after it.

    The test after this fixture runs an undisturbed one over it: should a kill change anything, they differ.
    """
    settings, lake = night[0], history(night[0], WHOLE)
    tiles = [step.name for step in STEPS].index("tiles")
    assert run(night, UNCOMPILED).kill(lambda: len(done(lake)) >= tiles, 1.0), "it was over before it could be killed"
    assert len(done(lake)) == tiles
    run(night).finish()
    end = days.start_of(DAY) + days.DAY_MS
    until("the store has read up to the cut-off", lambda: cutoff_of_the_store(settings, lake, WHOLE) == end)
    return done(lake), hashes(settings, lake, WHOLE), of_store(settings, lake, WHOLE)


def done(lake):
    """The steps that the night has done, and how."""
    return found.done if (found := load(lake.runs, DAY, DAY)) else {}


def history(settings, app):
    """A new lake with the events to take."""
    lake = Lake(settings.home / "lake")
    shutil.rmtree(lake.root, ignore_errors=True)
    lay_down(lake, "a-catalogue", generated.videos(app, 200, NOW - 10_000_000))
    # Late events go back as far as yesterday: each day that they reach is made again, by every step.
    events = generated.actions(app, 11, 4_000, NOW, people=300, catalogue=200)
    reaching = (event for event in events if event["event_time"] >= days.start_of(DAY) - days.DAY_MS)
    lay_down(lake, "b-events", reaching, [b"broken"])
    return lake


def run(night, options=""):
    settings, environ = night
    environ = environ | {"JDK_JAVA_OPTIONS": f"{QUICK} {options}"}
    return NightRun(settings.home, "--date", DAY.isoformat(), "--memory", "1g", environ=environ)


def hashes(settings, lake, app):
    tonight = load(lake.runs, DAY, DAY)
    assert tonight is not None and tonight.finished
    return of_lake(lake, app) | of_clickhouse(settings, app)


def cutoff_of_the_store(settings, lake, app):
    """Up to when the batch layer counts in what the store serves of anyone."""
    view = VIEWS["user_history_v1"]
    someone = read(Path(lake.tiles(view)), [view.entity]).to_pylist()[0][view.entity]
    answer = httpx.get(f"{settings.url('store')}/tiles/{view.full_name}/{someone}", params={"app_id": app})
    return answer.json()["batch_until"] if answer.status_code == 200 else 0


def the_store_serves(settings, lake, app, wanted):
    until("the store serves it", lambda: of_store(settings, lake, app) == wanted, within_s=30)


def test_a_night_that_was_killed_and_an_undisturbed_one_after_it_write_the_same_rows_everywhere(night, whole):
    lake, (_, wrote, served) = Lake(night[0].home / "lake"), whole
    assert [name for name, told in (wrote | served).items() if told.startswith("0 ")] == []
    for file in (*lake.runs.glob("*.json"), *lake.root.glob("inbox/*/.taken")):
        file.unlink()
    days.mark(lake.unpublished, [DAY])
    run(night, UNCOMPILED).finish()
    assert hashes(night[0], lake, WHOLE) == wrote
    the_store_serves(night[0], lake, WHOLE, served)


if SEEDS:

    @pytest.mark.parametrize("seed", SEEDS)
    def test_a_night_that_was_killed_anywhere_and_goes_on_writes_the_same_rows(night, whole, seed):
        steps, wrote, served = whole
        rng, app = random.Random(f"kill {seed}"), f"night{seed:02}"
        lake, kills = history(night[0], app), []
        for at in sorted(rng.sample(range(len(STEPS)), 2 if seed % 3 == 0 else 1)):
            into_s = rng.uniform(0, 0.6 * steps[STEPS[at].name].seconds)
            if run(night, UNCOMPILED).kill(lambda at=at: len(done(lake)) >= at, into_s):
                kills.append(len(done(lake)))
        run(night, UNCOMPILED).finish()
        names = [*(step.name for step in STEPS), "the end"]
        print(f"\nseed {seed}: killed in {', '.join(names[at] for at in kills)}")
        assert kills, "it was over before it could be killed"
        assert hashes(night[0], lake, app) == wrote, f"seed {seed}, killed in steps {kills}"
        the_store_serves(night[0], lake, app, served)
