"""A whole night beside a live stack: the store, ClickHouse and the ranker serve what it learned; twice is once."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import clickhouse_connect
import httpx
import pytest

from foryou.features.definitions import VIEWS
from foryou.lake import days
from foryou.lake.delta_files import read
from foryou.lake.night import load
from foryou.lake.parity_causes import WRONG
from foryou.lake.tables import Lake
from foryou.simulator.history import Plan, write_history

from .. import generated
from ..lanes import Lanes, until
from ..night_runs import NightRun

pytestmark = pytest.mark.timeout(1_200)
SPAN = 3


@pytest.fixture(scope="module")
def night(stack, tmp_path_factory):
    """History of some days, imported, and the night over it and over today: what the other tests left on the stack,
    kills,
    copies and late events included. Returns the first and last day of the history, and what the night said."""
    today = days.day_of(time.time_ns() // 1_000_000)
    first, last = today - timedelta(days=SPAN + 1), today - timedelta(days=2)
    folder = tmp_path_factory.mktemp("past")
    plan = Plan(until_ms=days.start_of(last + timedelta(days=1)), weeks=SPAN / 7, people=100, videos=8_000, visits=2.0)
    write_history(folder / "past", plan)
    foryou = Path(sys.executable).parent / "foryou"
    files = [str(path) for path in sorted((folder / "past").glob("*.parquet"))]
    done = subprocess.run([foryou, "import", *files], env=stack.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    now, lanes = time.time_ns() // 1_000_000, Lanes(stack.settings)
    lanes.send(generated.videos("nightly", 200, now))
    lanes.send(generated.actions("nightly", 5, 2_000, now, people=100, catalogue=200))
    said = run(stack, first, today)
    return first, last, night_record(stack, first, today), said


def run(stack, first, last, *more):
    return NightRun(
        stack.settings.home, "--from", f"{first}", "--to", f"{last}", "--memory", "2g", *more, environ=stack.environ
    ).finish()


def night_record(stack, first, last):
    found = load(Lake(stack.settings.home / "lake").runs, first, last)
    assert found is not None and found.finished
    return {name: done.wrote for name, done in found.done.items()}


def test_every_difference_between_speed_and_batch_has_a_known_cause(stack, night):
    """Flink's tiles against Spark's, of everything that happened on this stack."""
    parity = night[2]["parity"]
    assert parity["rows"] > 0
    assert {cause: parity[cause] for cause in WRONG} == dict.fromkeys(WRONG, 0), night[3]


def tiles_of_the_lake(stack, view):
    return read(Path(Lake(stack.settings.home / "lake").tiles(VIEWS[view])))


def test_the_store_serves_weeks_from_the_batch_layer(stack, night):
    last = night[1]
    table = tiles_of_the_lake(stack, "user_history_v1").to_pylist()
    past = [row for row in table if row["tile_start"] <= days.start_of(last)]
    busiest = max(past, key=lambda row: row["watch_ms"])
    mine = [row for row in past if (row["app_id"], row["user_key"]) == (busiest["app_id"], busiest["user_key"])]
    url = f"{stack.settings.url('store')}/tiles/user_history_v1/{busiest['user_key']}"

    def served():
        answer = httpx.get(url, params={"app_id": busiest["app_id"]})
        return answer.json() if answer.status_code == 200 else {"batch_until": 0}

    cutoff = days.start_of(last) + days.DAY_MS
    until("the cut-off holds", lambda: served()["batch_until"] >= cutoff, within_s=30)
    said = served()
    assert said["features"]["watch_ms_30d"] == sum(row["watch_ms"] for row in mine)
    assert said["features"]["likes_30d"] == sum(row["likes"] for row in mine)


def test_clickhouse_has_every_row_of_silver_once(stack, night):
    first, last = night[:2]
    clean = read(Path(Lake(stack.settings.home / "lake").clean), ["event_id"], (f"{first}", f"{last}"))
    port = stack.settings.ports["analytics"]
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port, username="analyst")
    asked = "SELECT count(), uniqExact(app_id, event_id) FROM events WHERE day BETWEEN {a:Date} AND {b:Date}"
    counted = client.query(asked, parameters={"a": first, "b": last}).result_rows
    assert counted == [(clean.num_rows, clean.num_rows)]
    assert client.query("SELECT count() FROM trends").result_rows[0][0] > 0


def test_the_feed_names_the_nights_vectors(stack, night):
    key = next(iter(stack.settings.secrets().write_keys))
    url = f"{stack.settings.url('ranker')}/v1/feed"

    def version():
        answer = httpx.get(url, params={"user_id": "someone"}, headers={"Authorization": f"Bearer {key}"})
        return answer.json()["model_version"]

    version_of_the_night = night[2]["embeddings"]["version"]
    until("the ranker took the vectors over", lambda: version_of_the_night in version(), within_s=30)


def test_publishing_twice_is_publishing_once(stack, night):
    before = hashes(stack, night)
    run(stack, *night[:2], "--steps", "publish,analytics")
    assert hashes(stack, night) == before


def hashes(stack, night):
    key = {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": stack.settings.clickhouse_key}
    first, last = night[:2]
    return {
        day: httpx.get(
            f"{stack.settings.url('analytics')}/admin/hash", params={"day": f"{day}"}, headers=key, timeout=60
        ).json()
        for day in days.span(first, last)
    }
