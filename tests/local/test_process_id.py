import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from foryou.local.process_id import ProcessId, alive, end, identify, marked, marks

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
]


@pytest.fixture
def started(tmp_path):
    children = []

    def start(command, part="collector", **more):
        child = subprocess.Popen(command, env={**os.environ, **marks(tmp_path, part)}, **more)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()


def test_a_reused_pid_is_another_process(started):
    process = identify(started(SLEEP).pid)
    assert process is not None and alive(process)
    assert not alive(replace(process, started=process.started - 1))


def test_a_reused_pid_is_not_ended(started):
    child = started(SLEEP)
    process = identify(child.pid)
    assert end([replace(process, started=process.started + 1)], grace_s=0.1) == []
    assert child.poll() is None


def test_a_dead_process_that_nobody_has_waited_for_is_dead(started):
    child = started([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identify(child.pid) is None


def test_a_process_that_does_not_exist_is_dead():
    assert identify(2**22 + 1) is None
    assert not alive(ProcessId(2**22 + 1, 0))


def test_a_command_name_with_brackets_and_spaces_is_read_past(tmp_path):
    folder = tmp_path / "42"
    folder.mkdir()
    fields = ["S", "1"] + ["0"] * 17 + ["777"] + ["0"] * 10
    (folder / "stat").write_text(f"42 (a) b (c) {' '.join(fields)}\n")
    assert identify(42, tmp_path) == ProcessId(42, 777)


def test_processes_are_found_by_stack_and_by_part(started, tmp_path):
    collector, store = started(SLEEP), started(SLEEP, "store")
    started(SLEEP, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 5  # a process that just became a command has no environment for a moment
    while len(marked(tmp_path)) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {process.pid for process in marked(tmp_path, "store")} == {store.pid}
    assert {collector.pid, store.pid} < {process.pid for process in marked(tmp_path)}
    assert marked(tmp_path / "another") == []


def test_a_folder_whose_name_begins_alike_is_another_stack(started, tmp_path):
    started(SLEEP)
    assert marked(tmp_path.with_name(tmp_path.name[:-1])) == []


def test_children_carry_the_mark_of_their_parent(started, tmp_path):
    parent = started([sys.executable, "-c", f"import subprocess; subprocess.run({SLEEP!r})"])
    for _ in range(100):
        if len(found := marked(tmp_path, "collector")) == 2:
            break
        parent.poll()
        subprocess.run(["sleep", "0.05"], check=True)
    assert len(found) == 2
    end(found, grace_s=1.0)
    assert marked(tmp_path) == []


def test_what_ends_when_asked_is_not_killed_and_what_does_not_is(started):
    gentle, deaf = started(SLEEP), started(DEAF, stdout=subprocess.PIPE)
    deaf.stdout.readline()
    killed = end([identify(gentle.pid), identify(deaf.pid)], grace_s=0.5)
    assert [process.pid for process in killed] == [deaf.pid]
    assert (gentle.wait(), deaf.wait()) == (-15, -9)
    deaf.stdout.close()
