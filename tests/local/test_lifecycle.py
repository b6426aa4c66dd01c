"""What a killed stack leaves for a moment, and what `foryou up` makes of it."""

import subprocess
import time

from foryou.local import state
from foryou.local.lifecycle import left_by, wait_gone, wait_ready
from foryou.local.process_id import ProcessId, alive, identify
from foryou.local.state import PartState, StackState
from foryou.service.settings import Settings


def unmarked(seconds: float) -> tuple[subprocess.Popen[bytes], ProcessId]:
    """A process without our mark, as one that is being ended looks."""
    process = subprocess.Popen(["sleep", str(seconds)])
    known = identify(process.pid)
    assert known is not None
    return process, known


def last_words(supervisor: ProcessId, collector: ProcessId) -> StackState:
    part = PartState("collector", "", "", phase="healthy", pid=collector.pid, started=collector.started)
    return StackState("home", supervisor, 0, {"collector": part, "features": PartState("features", "", "", "healthy")})


def test_a_process_in_its_end_is_waited_for():
    process, dying = unmarked(0.3)
    wait_gone(left_by(last_words(ProcessId(process.pid, dying.started + 1), dying)), 10.0)
    assert not alive(dying)
    process.wait()


def test_but_not_for_ever():
    process, living = unmarked(30)
    begin = time.monotonic()
    wait_gone([living], 0.1)
    assert time.monotonic() - begin < 5
    process.kill()
    process.wait()


def test_the_last_words_of_a_dead_supervisor_are_no_readiness(tmp_path):
    process, dead = unmarked(0.3)
    process.wait()
    settings = Settings.load({"FORYOU_HOME": str(tmp_path)})
    (tmp_path / "run").mkdir()
    said = last_words(dead, dead)
    assert said.ready
    state.save(tmp_path / "run" / "state.json", said)
    shown = []
    wait_ready(settings, 0.5, shown.append)
    assert len(shown) > 1, "it was read more than once, and not believed"
