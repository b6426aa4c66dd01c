"""The store process as it runs: read by Feast in other processes, changed by `feast apply` beside it, killed and back.

Kafka is away all the while: what is stored is served, and the process says what it waits for. The tiles were written
before it started, by the same writer from topics in memory.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from foryou.features.definitions import VIEWS
from foryou.features.operations import MINUTE
from foryou.service.metrics import Metrics
from foryou.service.settings import REPO, Settings
from foryou.store.online import now_ms
from foryou.store.rocks import RocksRows
from foryou.store.serving import rocks_path
from foryou.store.testing import TileTopics, action, tile
from foryou.store.writer import Writer

ACTIVITY = VIEWS["user_activity_v1"]
ANN = {"app_id": "demo", "user_key": "ann"}
FEAST = str(Path(sys.executable).with_name("feast"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A store process of its own home."""

    def __init__(self, home):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = home
        self.env = os.environ | {
            "FORYOU_HOME": str(home),
            "FORYOU_PORT_STORE": str(self.port),
            "FORYOU_KAFKA": "127.0.0.1:1",
            "PYTHONPATH": str(REPO),
        }
        self.yaml = home / "store" / "feature_store.yaml"
        self.child = None

    def start(self):
        log = (self.home / "store.log").open("ab")
        self.child = subprocess.Popen([sys.executable, "-m", "foryou.store"], env=self.env, stderr=log, cwd=self.home)
        wait_for(lambda: httpx.get(f"{self.url}/metrics").status_code == 200, seconds=60)

    def stop(self, how=signal.SIGTERM):
        began = time.monotonic()
        self.child.send_signal(how)
        status = self.child.wait(timeout=20)
        return status, time.monotonic() - began

    def python(self, code):
        """Runs Python in another process and gives back the JSON that it prints last."""
        done = subprocess.run(
            [sys.executable, "-c", code, str(self.yaml)], env=self.env, cwd=self.home, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def feast(self, repo, *command):
        asked = [FEAST, "--chdir", str(repo), "--feature-store-yaml", str(self.yaml), *command]
        done = subprocess.run(asked, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def post(self, path, body):
        return httpx.post(self.url + path, json=body, timeout=20)


def wait_for(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def fill(home):
    topics, now = TileTopics(), now_ms()
    minute = now // MINUTE * MINUTE - MINUTE
    actions = [action(minute + 1_000, "v1", "cats"), action(minute + 2_000, "v2", "food")]
    fields = {"likes": 3, "watched": 2, "engaged": minute + 2_000, "last_ms": minute + 2_000, "actions": actions}
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", minute, n=2, **fields))
    rows = RocksRows(rocks_path(Settings(home=home)))
    writer = Writer(rows, topics.source, topics.decode, VIEWS, Metrics(), now_ms)
    writer.start()
    while writer.step():
        pass
    rows.close()


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    running = Process(tmp_path_factory.mktemp("home"))
    fill(running.home)
    running.start()
    yield running
    if running.child.poll() is None:
        running.stop(signal.SIGKILL)


@pytest.fixture
def repo(tmp_path):
    return Path(shutil.copytree(REPO / "feature_repo", tmp_path / "feature_repo"))


SDK = """
import json, sys
from pathlib import Path
from feast import FeatureStore
store = FeatureStore(fs_yaml_file=Path(sys.argv[1]))
answer = store.get_online_features(store.get_feature_service("ranking_v1"), [{"app_id": "demo", "user_key": "ann"}])
print(json.dumps(answer.to_dict()))
"""


def check_live(found):
    assert found["likes_24h"] == [3]
    assert found["videos_watched_session"] == [2]
    assert found["recent_videos"] == [["v2", "v1"]]
    assert found["recent_categories"] == [["food", "cats"]]
    assert 0 < found["seconds_since_last_engagement"][0] < 600


def test_it_says_that_it_waits_for_kafka_and_serves_meanwhile(process):
    wait_for(lambda: "Kafka at 127.0.0.1:1" in httpx.get(f"{process.url}/healthz").text, seconds=15)
    assert httpx.get(f"{process.url}/healthz").status_code == 503
    answer = process.post(
        "/get-online-features", {"feature_service": "ranking_v1", "entities": {k: [v] for k, v in ANN.items()}}
    )
    names = answer.json()["metadata"]["feature_names"]
    check_live({name: result["values"] for name, result in zip(names, answer.json()["results"], strict=True)})


def test_the_sdk_in_another_process_reads_live_windows(process):
    check_live(process.python(SDK))


def test_another_process_reads_the_files_themselves(process):
    check_live(process.python(SDK.replace("sys.argv[1]", "sys.argv[1].replace('feature_store', 'reader')")))


PUSH = """
import json, sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
import pandas as pd
from feast import FeatureStore
store = FeatureStore(fs_yaml_file=Path(sys.argv[1]))
now = datetime.now(timezone.utc)
for age, liked in ((1, ["new"]), (2, ["old"])):
    row = {"app_id": "demo", "user_key": "ann", "chosen_categories": liked}
    store.push("user_interests", pd.DataFrame([row | {"event_timestamp": now - timedelta(hours=age)}]))
answer = store.get_online_features(["user_interests_v1:chosen_categories"], [{"app_id": "demo", "user_key": "ann"}])
print(json.dumps(answer.to_dict()))
"""


def test_a_push_from_a_shell_reaches_the_writer_and_the_older_one_loses(process):
    assert process.python(PUSH)["chosen_categories"] == [["new"]]


def test_apply_in_a_shell_is_taken_over_and_a_removed_views_rows_are_purged(process, repo):
    interests = {"features": ["user_interests_v1:chosen_categories"], "entities": {k: [v] for k, v in ANN.items()}}
    assert process.post("/get-online-features", interests).json()["results"][-1]["statuses"] == ["PRESENT"]

    views, services = (repo / "views.py").read_text(), (repo / "services.py").read_text()
    renamed = views.replace("user_interests_v1", "user_interests_v2")
    (repo / "views.py").write_text(renamed)
    (repo / "services.py").write_text(services.replace("user_interests_v1", "user_interests_v2"))
    process.feast(repo, "apply")
    wait_for(lambda: process.post("/get-online-features", interests).status_code == 404)
    interests["features"] = ["user_interests_v2:chosen_categories"]
    assert process.post("/get-online-features", interests).json()["results"][-1]["statuses"] == ["NOT_FOUND"]

    (repo / "views.py").write_text(views)
    (repo / "services.py").write_text(services)
    process.feast(repo, "apply")
    interests["features"] = ["user_interests_v1:chosen_categories"]
    wait_for(lambda: process.post("/get-online-features", interests).status_code == 200)
    assert process.post("/get-online-features", interests).json()["results"][-1]["statuses"] == ["NOT_FOUND"]


def test_the_repositorys_own_yaml_is_that_of_a_default_stack():
    written = yaml.safe_load((REPO / "feature_repo" / "feature_store.yaml").read_text())
    settings = Settings.load({})
    assert written["online_store"]["path"] == settings.url("store")
    assert (REPO / "feature_repo" / written["registry"]["path"]).resolve() == settings.home / "store" / "registry.db"


def test_killed_it_comes_back_with_what_it_had(process):
    row = {"app_id": ["demo"], "user_key": ["ben"], "chosen_categories": [["cats"]]}
    pushed = {
        "push_source_name": "user_interests",
        "df": row | {"event_timestamp": [(datetime.now(UTC) - timedelta(hours=1)).isoformat()]},
    }
    assert process.post("/push", pushed).status_code == 200
    process.stop(signal.SIGKILL)
    process.start()
    asked = {"feature_service": "cold_start_v1", "entities": {"app_id": ["demo"], "user_key": ["ben"]}}
    assert process.post("/get-online-features", asked).json()["results"][-1]["values"] == [["cats"]]
    check_live(process.python(SDK))


def test_a_second_store_process_on_the_same_home_is_refused_in_a_sentence(process):
    second = subprocess.run([sys.executable, "-m", "foryou.store"], env=process.env, capture_output=True, text=True)
    assert second.returncode == 1
    assert "only one store process may run on it" in second.stderr


def test_it_stops_on_sigterm_within_five_seconds_and_its_log_is_json(process):
    status, seconds = process.stop()
    assert (status, seconds < 5) == (0, True)
    for line in (process.home / "store.log").read_text().splitlines():
        json.loads(line)
