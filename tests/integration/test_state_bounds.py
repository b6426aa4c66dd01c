"""What admission remembers, and for how long: a job of its own with seconds instead of days, on its own Kafka."""

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from foryou.contract.schemas import field_names
from foryou.local import temporary
from foryou.local.jdk import find_jdk
from foryou.local.stack import JARS, STREAMING_PYTHON
from foryou.service.settings import REPO, Settings

from .conftest import LocalStack
from .lanes import VERDICTS, Lanes, until

OFFSET = "1100"
LATENESS_MS, TTL_MS = 3_000, 6_000
FORGOTTEN_S = TTL_MS / 1000 * 1.5 + 2  # Flink clears such state between one and one and a half times its TTL
PATIENT_S = 120.0


@pytest.fixture(scope="module")
def bare() -> Iterator[Settings]:
    """Kafka and the registry alone, and the job in a JVM of its own beside them."""
    home = REPO / ".cache" / "bare-stack"
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FORYOU_")}
    environ = {**ours, "FORYOU_HOME": str(home), "FORYOU_PORT_OFFSET": OFFSET, "FORYOU_ONLY": "kafka,registry"}
    stack = LocalStack(Settings.load(environ), environ, borrowed=False)
    stack.down()
    shutil.rmtree(home, ignore_errors=True)
    stack.up()
    jars = ";".join(jar.as_uri() for jar in sorted((JARS / "flink").glob("*.jar")))
    program = [str(STREAMING_PYTHON), str(REPO / "jobs" / "streaming" / "features.py"), "--jars", jars, "--salts", "1"]
    program += ["--kafka", stack.settings.kafka, "--registry", stack.settings.registry_url]
    program += ["--lateness-ms", str(LATENESS_MS), "--state-ttl-ms", str(TTL_MS)]
    folder = temporary.emptied(stack.home, "job")
    temporary_files = {"TMPDIR": str(folder), "JVM_ARGS": " ".join(temporary.java_options(stack.home, "job"))}
    with (home / "job.out").open("wb") as out:
        job = subprocess.Popen(
            program,
            env={**ours, "PYTHONPATH": str(REPO), "JAVA_HOME": str(find_jdk(environ).home)} | temporary_files,
            cwd=home,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    yield stack.settings
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    stack.down()


class Judge:
    """Sends single events and tells their verdicts."""

    def __init__(self, settings: Settings) -> None:
        self.lanes = Lanes(settings)
        self.watch = self.lanes.watch()
        self.verdicts: list[tuple[str, dict[str, Any]]] = []

    def of(self, event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The lane's second word, and the row."""
        before = len(self.verdicts)
        self.lanes.send([event])

        def judged() -> bool:
            self.verdicts.extend(self.watch.poll())
            return len(self.verdicts) > before

        until("a verdict", judged, within_s=PATIENT_S)
        topic, row = self.verdicts[before]
        assert topic in VERDICTS
        return topic.split(".")[1], row


def event(event_type: str, now_ms: int, **more: Any) -> dict[str, Any]:
    """An accepted event of this moment."""
    blank = dict.fromkeys(field_names("event"))
    times = {"event_time": now_ms, "received_at": now_ms}
    who = {
        "event_id": str(uuid.uuid4()),
        "app_id": "bounds",
        "user_key": "uk_someone",
        "video_id": "v1",
        "properties": {},
    }
    return blank | {"event_type": event_type} | who | times | more


def now() -> int:
    return time.time_ns() // 1_000_000


def test_a_copy_is_a_duplicate_while_remembered_and_late_when_forgotten_never_clean(bare: Settings) -> None:
    judge = Judge(bare)
    first = event("view_end", now(), watch_ms=5_000)
    assert judge.of(first)[0] == "clean"
    assert judge.of(first | {"received_at": first["received_at"] + LATENESS_MS})[0] == "duplicate"

    forgotten = time.monotonic() + FORGOTTEN_S
    until("the state's time is over", lambda: time.monotonic() > forgotten)
    assert judge.of(first | {"received_at": now()})[0] == "late"
    # The bound is what protects: the state is gone indeed.
    assert judge.of(first | {"received_at": first["received_at"] + LATENESS_MS})[0] == "clean"


def test_lateness_is_judged_to_the_millisecond(bare: Settings) -> None:
    judge, at = Judge(bare), now()
    assert judge.of(event("view_end", at, event_time=at - LATENESS_MS))[0] == "clean"
    assert judge.of(event("view_end", at, event_time=at - LATENESS_MS - 1))[0] == "late"


def test_an_unlike_withdraws_the_like_within_the_bound_and_not_beyond(bare: Settings) -> None:
    judge, at = Judge(bare), now()
    for wait, withdrawn in ((LATENESS_MS, True), (LATENESS_MS + 1, False)):
        video = f"v-{uuid.uuid4()}"
        judge.of(event("like", at, video_id=video))
        _, row = judge.of(event("unlike", at + wait, video_id=video))
        assert row["cancels_time"] == (at if withdrawn else None)
        assert row["relation_on"] == 0


def test_a_larger_watch_time_withdraws_the_smaller_within_the_bound_and_not_beyond(bare: Settings) -> None:
    judge, at = Judge(bare), now()
    for wait, withdrawn in ((LATENESS_MS, (at, 1_000)), (LATENESS_MS + 1, (None, None))):
        play = str(uuid.uuid4())
        judge.of(event("play_progress", at, impression_id=play, watch_ms=1_000))
        _, end = judge.of(event("view_end", at + wait, impression_id=play, watch_ms=2_000))
        assert (end["relation_on"], (end["cancels_time"], end["cancels_watch_ms"])) == (1, withdrawn)
        _, smaller = judge.of(event("play_progress", at + wait, impression_id=play, watch_ms=1_500))
        assert (smaller["relation_on"], smaller["cancels_time"]) == (0, None)
