"""The stack as people treat it: looked at, killed, started again, ended."""

import os
import signal
import socket
import time
import uuid

import httpx
import pytest
from confluent_kafka.admin import AdminClient

from foryou.cli.stack import report
from foryou.local import checkpoints, probe
from foryou.local.home import epoch
from foryou.local.kafka import all_topics
from foryou.local.lifecycle import CannotStart, start
from foryou.local.process_id import alive
from foryou.local.registry import register, subjects
from foryou.service.settings import Settings

from ..conftest import LocalStack
from ..lanes import until

pytestmark = pytest.mark.timeout(600)
SIX_GIB = 6 * 1024**3


def schema_ids(stack) -> dict[str, int]:
    url = stack.settings.registry_url
    return {subject: probe.get_json(f"{url}/subjects/{subject}/versions/latest")["id"] for subject in subjects()}


def topics_of(stack) -> dict[str, int]:
    found = AdminClient({"bootstrap.servers": stack.settings.kafka}).list_topics(timeout=10).topics
    return {name: len(topic.partitions) for name, topic in found.items() if not name.startswith("__")}


def newest_checkpoint(stack):
    return checkpoints.restore_point(stack.home.flink / "checkpoints" / "features")


def tap(stack, user_id: str) -> None:
    key = next(iter(stack.settings.secrets().write_keys))
    event = {
        "event_id": str(uuid.uuid4()),
        "event_type": "like",
        "user_id": user_id,
        "video_id": f"v-{uuid.uuid4().hex[:8]}",
        "event_time": time.time_ns() // 1_000_000,
    }
    url = f"{stack.settings.url('collector')}/v1/events"
    answer = httpx.post(url, json=event, headers={"Authorization": f"Bearer {key}"}, timeout=10)
    assert answer.status_code == 202, answer.text


def likes(stack, user_id: str) -> int | None:
    key = stack.settings.secrets().identity.user_key("demo", user_id)
    body = {"features": ["user_activity_v1:likes_24h"], "entities": {"app_id": ["demo"], "user_key": [key]}}
    try:
        answer = httpx.post(f"{stack.settings.url('store')}/get-online-features", json=body, timeout=10)
        answer.raise_for_status()
    except httpx.HTTPError:
        return None
    results = dict(zip(answer.json()["metadata"]["feature_names"], answer.json()["results"], strict=True))
    value: int | None = results["likes_24h"]["values"][0]
    return value


def said_to_wait_for(stack) -> list[str]:
    answer = httpx.get(f"{stack.settings.url('collector')}/healthz", timeout=10)
    assert answer.status_code == 200, "the collector is well without Kafka"
    told: list[str] = answer.json()["waiting_for"]
    return told


def test_every_part_is_healthy_and_says_where_it_listens(stack):
    said = report(stack.settings, stack.state, True)
    assert said["ready"]
    assert {part["phase"] for part in said["parts"].values()} == {"healthy"}
    assert set(said["parts"]) == {
        "kafka",
        "registry",
        "jobmanager",
        "taskmanager",
        "collector",
        "forwarder",
        "store",
        "ranker",
        "analytics",
        "features",
    }
    assert said["write_key"].startswith("fy_dev_")
    assert said["addresses"]["collector"] == stack.settings.url("collector")


def test_every_process_of_ours_answers_healthz_and_metrics(stack):
    for name in ("collector", "forwarder", "store", "ranker", "analytics", "supervisor"):
        assert httpx.get(f"{stack.settings.url(name)}/healthz").json()["status"] == "ok"
        assert "# HELP foryou_" in httpx.get(f"{stack.settings.url(name)}/metrics").text


def test_every_declared_topic_and_schema_is_there(stack):
    declared = {name: topic.partitions for name, topic in all_topics().items()}
    assert declared.items() <= topics_of(stack).items()
    assert register(stack.settings.registry_url) == schema_ids(stack)
    assert probe.get_json(f"{stack.settings.registry_url}/config")["compatibilityLevel"] == "FULL_TRANSITIVE"


def test_the_stack_stays_within_six_gib(stack):
    resident = 0
    for process in stack.processes:
        with open(f"/proc/{process.pid}/statm", encoding="ascii") as statm:  # noqa: PTH123
            resident += int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    print(f"\nresident: {resident / 1024**3:.2f} GiB")
    assert resident < SIX_GIB


def test_a_second_up_changes_nothing(stack):
    before = stack.state
    assert start(stack.settings, stack.environ) is False
    assert stack.state == before


def test_a_killed_process_comes_back(stack):
    before = stack.state.parts["collector"].process
    os.kill(before.pid, signal.SIGKILL)
    until("the collector", lambda: stack.state.parts["collector"].process not in (None, before) and stack.state.ready)
    assert stack.state.parts["collector"].restarts >= 1


def test_events_are_taken_while_kafka_is_away_and_arrive_when_it_is_back(stack):
    user = f"u-{uuid.uuid4().hex[:8]}"
    kafka = stack.state.parts["kafka"].process
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            tap(stack, user)
        until("its word on /healthz", lambda: "kafka" in said_to_wait_for(stack), 30)
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    until("three likes", lambda: likes(stack, user) == 3)


def test_a_killed_jobmanager_comes_back_and_the_job_goes_on_from_its_checkpoint(stack):
    user = f"u-{uuid.uuid4().hex[:8]}"
    for _ in range(3):
        tap(stack, user)
    until("three likes", lambda: likes(stack, user) == 3)
    first, number = stack.state.parts["jobmanager"].process, epoch(stack.home.flink / "epochs" / "features")
    taskmanager = stack.state.parts["taskmanager"].process
    os.kill(first.pid, signal.SIGKILL)
    until("the end of the old tasks", lambda: not alive(taskmanager), 30)
    until("the job", lambda: stack.state.ready and stack.state.parts["jobmanager"].process != first, 240)
    tap(stack, user)
    until("the fourth like", lambda: likes(stack, user) == 4)
    assert epoch(stack.home.flink / "epochs" / "features") == number, "a restored job counts on in its epoch"


def test_after_a_kill_of_everything_up_brings_it_all_back_and_counts_nothing_twice(stack):
    user = f"u-{uuid.uuid4().hex[:8]}"
    for _ in range(5):
        tap(stack, user)
    until("five likes", lambda: likes(stack, user) == 5)
    ids, topics, checkpoint = schema_ids(stack), topics_of(stack), newest_checkpoint(stack)
    assert checkpoint is not None
    for process in stack.processes:
        os.kill(process.pid, signal.SIGKILL)
    until("the end of all", lambda: stack.processes == [], 20)
    seconds = stack.up()
    print(f"\nup after a kill of everything: {seconds:.0f} s")
    assert schema_ids(stack) == ids
    assert topics_of(stack) == topics
    tap(stack, user)
    until("the sixth like", lambda: likes(stack, user) == 6)


def test_a_killed_supervisor_leaves_nothing_that_down_does_not_end(tmp_path):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FORYOU_")}
    environ = ours | {"FORYOU_HOME": str(tmp_path / "home"), "FORYOU_PORT_OFFSET": "1200", "FORYOU_ONLY": "kafka"}
    small = LocalStack(Settings.load(environ), environ, borrowed=False)
    try:
        small.up()
        os.kill(small.state.supervisor.pid, signal.SIGKILL)
        until("its end", lambda: not alive(small.state.supervisor), 10)
        assert small.processes, "the others outlive it"
    finally:
        small.down()
    assert small.processes == []


def test_down_ends_every_process(stack):
    if stack.borrowed:
        pytest.skip("a borrowed stack stays up")
    assert stack.down() >= 8
    assert stack.processes == []


def test_a_port_in_use_is_said_in_one_sentence(stack):
    if stack.borrowed:
        pytest.skip("a borrowed stack stays up")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((stack.settings.host, stack.settings.ports["kafka"]))
        taken.listen()
        with pytest.raises(CannotStart, match=r"Port \d+ \(kafka\) .* is in use: .*FORYOU_PORT_KAFKA"):
            start(stack.settings, stack.environ)
