"""Who stands back takes what others leave, whatever session they are in, and ends with its parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foryou.service.scheduling import BEHIND, session_weight, stand_back, turn

BURN = [sys.executable, "-c", "while True: pass"]
TURN = list(turn(when_idle=True))
AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")


def until(found, within_s=20.0):
    deadline = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def burns(pid):
    """Whether it has become the command."""
    try:
        return b"while True" in Path(f"/proc/{pid}/cmdline").read_bytes() and "scheduling" not in _words(pid)
    except OSError:
        return False


def _words(pid):
    return Path(f"/proc/{pid}/cmdline").read_text("utf-8")


def test_what_runs_when_idle_leads_a_session_of_the_lowest_weight():
    burning = subprocess.Popen(TURN + BURN)
    try:
        until(lambda: burns(burning.pid))
        assert os.sched_getscheduler(burning.pid) == os.SCHED_IDLE
        assert os.getsid(burning.pid) == burning.pid != os.getsid(0)
        if AUTOGROUP.exists() and AUTOGROUP.read_text("ascii").strip() == "1":
            assert session_weight(burning.pid) == 19
    finally:
        burning.kill()
        burning.wait()


def test_it_ends_with_its_parent_however_that_ends():
    starts = "import subprocess; from foryou.service.scheduling import turn; "
    starts += f"p = subprocess.Popen([*turn(when_idle=True), *{BURN}]); print(p.pid, flush=True); p.wait()"
    parent = subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    until(lambda: burns(child))
    parent.kill()
    parent.communicate()
    until(lambda: not burns(child))


def test_whose_parent_has_ended_before_it_began_does_not_begin():
    stranger = [*TURN[:-1], "1"]
    assert subprocess.run([*stranger, sys.executable, "-c", "raise SystemExit(7)"], check=False).returncode == 1


def test_who_stands_further_back_stays_there_and_who_has_ended_is_no_error():
    burning = subprocess.Popen(["nice", "-n", "15", *BURN], start_new_session=True)
    try:
        until(lambda: os.getpriority(os.PRIO_PROCESS, burning.pid) == 15)
        stand_back(BEHIND, burning.pid)
        assert os.getpriority(os.PRIO_PROCESS, burning.pid) == 15
    finally:
        burning.kill()
        burning.wait()
    assert stand_back(BEHIND, burning.pid) is False


def test_a_session_is_slowed_by_its_leader_only():
    if not Path("/proc/self/autogroup").exists():
        pytest.skip("this kernel weighs no sessions")
    stands_back = "from foryou.service.scheduling import stand_back; stand_back(7)"
    leads = f"""import os, subprocess, sys; from foryou.service.scheduling import session_weight
subprocess.run([sys.executable, "-c", {stands_back!r}], check=True)
print(session_weight(os.getpid()))
{stands_back}
print(session_weight(os.getpid()))"""
    # In a session of its own: the one that the machine started with has no weight to read.
    led = subprocess.run(
        [sys.executable, "-c", leads], check=True, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert led.stdout.split() == ["0", "7"]


def test_the_first_session_of_a_machine_has_no_weight(monkeypatch):
    """What continuous integration runs in: the kernel says nothing of it, and takes no weight for it."""
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path, *_: {"/proc/7/autogroup": "", "/proc/8/autogroup": "/autogroup-3 nice -5\n"}[str(path)],
    )
    assert session_weight(7) is None
    assert session_weight(8) == -5
