"""The supervisor with small programs in the place of Kafka and Flink."""

import os
import signal
import sys
import threading
import time

import pytest

from foryou.local.board import Board
from foryou.local.home import Home
from foryou.local.keeper import bound
from foryou.local.part import Job, Part, Running
from foryou.local.process_id import ProcessId, marked
from foryou.local.stack import Stack
from foryou.local.state import PartState, StackState
from foryou.local.supervisor import OTHER_PLAN, Backoff, Supervisor, last_line
from foryou.service.metrics import Metrics
from foryou.service.scheduling import BEHIND

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.open()
    return home


def part(home, name, needs=(), argv=SLEEP, check=lambda: None, **more):
    log = home.logs / f"{name}.log"
    return Part(name, "", "", argv, check, log, log, needs, **more)


@pytest.fixture
def run(home):
    """Starts a supervisor of some parts in a thread; ends it with the test."""
    running = []

    def run(*parts, jobs=()):
        stack = Stack(parts, jobs)
        initial = {unit.name: PartState(unit.name, "", "") for unit in stack.units}
        board = Board(home.state, StackState(str(home.root), ProcessId(1, 1), 0, initial), lambda: 0)
        supervisor = Supervisor(home, stack, board, os.environ, Metrics())
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        running.append((supervisor, thread))
        return board, supervisor, thread

    yield run
    for supervisor, thread in running:
        supervisor.stop.set()
        thread.join(20)
        assert not thread.is_alive()
    assert marked(home.root) == []


def test_a_part_starts_when_what_it_needs_is_healthy_and_settled(home, run):
    done = []
    board, _, _ = run(
        part(home, "user", needs=("base",), prepare=lambda: done.append("user starts")),
        part(home, "base", settle=lambda: done.append("base settled")),
    )
    assert board.wait_while(lambda now: not now.ready, 10)
    assert done == ["base settled", "user starts"]


def test_a_part_that_waits_says_for_what(home, run):
    board, _, _ = run(part(home, "user", needs=("base",)), part(home, "base", check=lambda: "port 1 to answer"))
    assert board.wait_while(lambda now: now.parts["user"].waiting_for != "base", 10)
    assert board.wait_while(lambda now: now.parts["base"].waiting_for != "port 1 to answer", 10)
    assert board.now.parts["user"].phase == "waiting"


def test_what_settles_late_is_tried_again(home, run):
    answers = iter([OSError("not yet"), None])

    def settle():
        answer = next(answers)
        if answer is not None:
            raise answer

    board, _, _ = run(part(home, "base", settle=settle))
    assert board.wait_while(lambda now: not now.ready, 10)
    assert board.now.parts["base"].restarts == 0


def test_a_killed_process_is_started_again(home, run):
    board, _, _ = run(part(home, "base"))
    assert board.wait_while(lambda now: not now.ready, 10)
    first = board.now.parts["base"].process
    os.kill(first.pid, signal.SIGKILL)
    assert board.wait_while(lambda now: now.parts["base"].process in (None, first) or not now.ready, 10)
    assert board.now.parts["base"].restarts == 1


SAYS_TMPDIR = "import os, sys, time; open(sys.argv[1], 'w').write(os.environ['TMPDIR']); time.sleep(60 * {})"


def left(home, name):
    """What a killed process left among its temporary files."""
    file = home.tmp / name / "blockmgr-1"
    file.parent.mkdir()
    file.write_text("rows")
    return file


def test_a_part_has_temporary_files_of_its_own_and_those_of_its_last_life_are_gone(home, run):
    said, file = home.root / "said", left(home, "base")
    program = (sys.executable, "-c", SAYS_TMPDIR.format(1), str(said))
    board, _, _ = run(part(home, "base", argv=program, check=lambda: None if said.exists() else "its word"))
    assert board.wait_while(lambda now: not now.ready, 10)
    assert said.read_text() == str(home.tmp / "base")
    assert not file.exists()
    file.write_text("of this life")
    os.kill(board.now.parts["base"].pid, signal.SIGKILL)
    assert board.wait_while(lambda now: now.parts["base"].restarts == 0 or not now.ready, 10)
    assert not file.exists()


def test_a_submission_has_temporary_files_of_its_own_and_those_of_the_last_are_gone(home, run):
    said, file = home.root / "said", left(home, "features")
    find = lambda: Running("j1", "RUNNING", True) if said.exists() else None  # noqa: E731
    board, _, _ = run(jobs=(job(home, find, (sys.executable, "-c", SAYS_TMPDIR.format(0), str(said))),))
    assert board.wait_while(lambda now: not now.ready, 10)
    assert said.read_text() == str(home.tmp / "features")
    assert not file.exists()


def test_a_part_that_is_waited_for_goes_before_the_others(home, run):
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    board, _, _ = run(part(home, "door", waited_for=True), part(home, "engine"))
    assert board.wait_while(lambda now: not now.ready, 10)
    nice = {name: os.getpriority(os.PRIO_PROCESS, known.process.pid) for name, known in board.now.parts.items()}
    assert nice == {"door": ours, "engine": max(ours, BEHIND)}


def test_why_a_process_ended_is_said_in_its_own_last_words(home, run):
    board, _, _ = run(part(home, "base", argv=(sys.executable, "-c", "print('no such file'); raise SystemExit(3)")))
    assert board.wait_while(lambda now: now.parts["base"].phase != "restarting", 10)
    assert board.now.parts["base"].waiting_for == "ended with 3: no such file"


def test_who_was_killed_is_not_explained_with_its_last_words(home, run):
    board, _, _ = run(part(home, "base"))
    assert board.wait_while(lambda now: not now.ready, 10)
    os.kill(board.now.parts["base"].process.pid, signal.SIGKILL)
    assert board.wait_while(lambda now: now.parts["base"].phase != "restarting", 10)
    assert board.now.parts["base"].waiting_for.startswith("killed (SIGKILL) by somebody")


def test_a_part_whose_preparation_fails_takes_no_other_along(home, run):
    def prepare():
        raise RuntimeError("the wheel is broken")

    board, _, _ = run(part(home, "broken", prepare=prepare), part(home, "base"))
    assert board.wait_while(lambda now: now.parts["base"].phase != "healthy", 10)
    assert board.wait_while(lambda now: now.parts["broken"].waiting_for != "the wheel is broken", 10)


def test_what_is_bound_to_a_part_ends_with_it(home, run):
    board, _, _ = run(part(home, "jobmanager"), part(home, "taskmanager", bound_to="jobmanager"))
    assert board.wait_while(lambda now: not now.ready, 10)
    first = board.now.parts["taskmanager"].process
    os.kill(board.now.parts["jobmanager"].pid, signal.SIGKILL)
    assert board.wait_while(lambda now: now.parts["taskmanager"].process in (None, first) or not now.ready, 15)


def test_children_that_a_dead_process_left_are_ended_before_it_starts_again(home, run):
    leaves_a_child = (sys.executable, "-c", f"import subprocess, time; subprocess.Popen({SLEEP!r}); time.sleep(60)")
    board, _, _ = run(part(home, "base", argv=leaves_a_child))
    deadline = time.monotonic() + 10
    while len(before := marked(home.root)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(board.now.parts["base"].pid, signal.SIGKILL)
    assert board.wait_while(lambda now: now.parts["base"].restarts == 0 or not now.ready, 10)
    assert not set(before) & set(marked(home.root))


def test_stopping_ends_users_before_what_they_use(home, run):
    ended = home.root / "ended"
    says = (
        "import signal, sys, time; signal.signal(15, lambda *_: (open({!r}, 'a').write({!r}), sys.exit())); "
        "time.sleep(60)"
    )
    board, supervisor, thread = run(
        *(
            part(home, name, needs, (sys.executable, "-c", says.format(str(ended), f"{name} ")))
            for name, needs in (("kafka", ()), ("registry", ("kafka",)), ("store", ("kafka", "registry")))
        )
    )
    assert board.wait_while(lambda now: not now.ready, 10)
    time.sleep(0.5)  # until they listen to the signal
    supervisor.stop.set()
    thread.join(15)
    assert ended.read_text() == "store registry kafka "
    assert {unit.phase for unit in board.now.parts.values()} == {"stopped"}


def job(home, find, submission=(sys.executable, "-c", ""), needs=()):
    hold = home.run / "features.hold"
    return Job("features", "", "", needs, find, lambda: submission, {}, home.logs / "job.log", hold)


def test_a_job_that_is_not_there_is_submitted_and_followed(home, run):
    flag = home.root / "submitted"
    find = lambda: Running("j1", "RUNNING", True) if flag.exists() else None  # noqa: E731
    board, _, _ = run(jobs=(job(home, find, (sys.executable, "-c", f"open({str(flag)!r}, 'w')")),))
    assert board.wait_while(lambda now: not now.ready, 10)
    flag.unlink()
    assert board.wait_while(lambda now: now.parts["features"].restarts == 0, 10)
    assert board.wait_while(lambda now: not now.ready, 10)


def test_a_job_that_runs_already_is_not_submitted_twice(home, run):
    never = (sys.executable, "-c", "open('submitted twice', 'w')")
    board, _, _ = run(jobs=(job(home, lambda: Running("j1", "RUNNING", True), never),))
    assert board.wait_while(lambda now: not now.ready, 10)
    assert not (home.root / "submitted twice").exists()


def test_a_job_whose_tasks_do_not_all_run_is_not_healthy(home, run):
    board, _, _ = run(jobs=(job(home, lambda: Running("j1", "RUNNING", False)),))
    assert board.wait_while(lambda now: "its tasks" not in now.parts["features"].waiting_for, 10)
    assert not board.now.ready


def test_a_job_is_not_healthy_while_its_taskmanager_is_gone_whatever_flink_says(home, run):
    lives = home.root / "lives"
    lives.touch()
    taskmanager = part(home, "taskmanager", check=lambda: None if lives.exists() else "its registration")
    board, _, _ = run(taskmanager, jobs=(job(home, lambda: Running("j1", "RUNNING", True), needs=("taskmanager",)),))
    assert board.wait_while(lambda now: not now.ready, 10)
    lives.unlink()
    os.kill(board.now.parts["taskmanager"].pid, signal.SIGKILL)
    assert board.wait_while(lambda now: now.parts["taskmanager"].phase == "healthy", 10)
    assert board.wait_while(lambda now: now.parts["features"].phase == "healthy", 1)
    assert (board.now.parts["features"].phase, board.now.parts["features"].waiting_for) == ("unhealthy", "taskmanager")
    lives.touch()
    assert board.wait_while(lambda now: not now.ready, 10)
    assert board.now.parts["features"].restarts == 0


def test_a_submission_that_fails_says_the_last_cause(home, run):
    words = "print('java.lang.X: outer'); print('Caused by: Y: the plan has changed'); print('  at Z'); exit(1)"
    board, _, _ = run(jobs=(job(home, lambda: None, (sys.executable, "-c", words)),))
    assert board.wait_while(lambda now: now.parts["features"].phase != "restarting", 10)
    assert board.now.parts["features"].waiting_for.endswith("Caused by: Y: the plan has changed")


def test_pauses_double_up_to_a_bound_and_begin_again_after_a_steady_time():
    backoff = Backoff()
    assert [backoff.next(now) for now in (0, 1, 2, 3, 4, 5, 6)] == [1, 2, 4, 8, 16, 20, 20]
    assert backoff.next(6 + 20 + 61) == 1


def test_a_log_over_its_bound_is_moved_aside_while_its_writer_goes_on(tmp_path):
    log = tmp_path / "a.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 10)
        assert bound(log, 20)
        writer.write(b"new\n")
    assert (log.read_bytes(), (tmp_path / "a.log.1").read_bytes()) == (b"new\n", b"old\n" * 10)
    assert not bound(log, 20)
    assert not bound(tmp_path / "missing.log", 20)


def test_the_last_line_of_no_log_and_of_an_empty_one(tmp_path):
    assert last_line(tmp_path / "none") == "it left no log"
    (tmp_path / "empty").write_text("\n\n")
    assert last_line(tmp_path / "empty") == "its log is empty"


def test_a_state_that_the_job_cannot_read_is_told_with_its_remedy_though_java_ends_with_another_cause(tmp_path):
    log = tmp_path / "job.log"
    log.write_text(
        "Caused by: java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint file:/chk-86. "
        "Cannot map checkpoint/savepoint state for operator 48 to the new program\n"
        "\tat org.apache.flink.client.cli.CliFrontend.main(CliFrontend.java:1323)\n"
        "Caused by: java.lang.RuntimeException: Python process exits with code: 1\n"
    )
    assert last_line(log) == OTHER_PLAN
