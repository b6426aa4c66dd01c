"""`python -m foryou.local`: the supervisor. `foryou up` starts it, detached."""

import fcntl
import logging
import os
import signal
import sys
import threading
import time

from foryou.local import temporary
from foryou.local.board import Board
from foryou.local.home import Home
from foryou.local.jdk import find_jdk
from foryou.local.keeper import door, keep
from foryou.local.process_id import identify
from foryou.local.stack import Stack, whole_stack
from foryou.local.state import PartState, StackState
from foryou.local.supervisor import Supervisor
from foryou.service import logs
from foryou.service.metrics import Metrics
from foryou.service.settings import Settings

log = logging.getLogger("foryou.local")


def main() -> int:
    """Runs the stack until SIGTERM. Returns 3 when another supervisor has this home."""
    logs.configure("supervisor")
    settings = Settings.load(os.environ)
    home = Home(settings.home)
    home.open()
    with home.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.error("another supervisor has this home", extra={"home": str(home.root)})
            return 3
        temporary.emptied(home, "supervisor")
        _supervise(settings, home)
    return 0


def _supervise(settings: Settings, home: Home) -> None:
    stack = _selected(whole_stack(settings, find_jdk(os.environ)), os.environ.get("FORYOU_ONLY", ""))
    me = identify(os.getpid())
    assert me is not None
    started_ms = _now_ms()
    initial = {
        unit.name: PartState(unit.name, unit.doc, unit.address, since_ms=started_ms, log=str(unit.log))
        for unit in stack.units
    }
    board = Board(home.state, StackState(str(home.root), me, started_ms, initial, dict(settings.ports)), _now_ms)
    metrics = Metrics()
    supervisor = Supervisor(home, stack, board, {**os.environ, **settings.environ()}, metrics)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop.set())
    server = door(settings.host, settings.ports["supervisor"], board, metrics)
    consoles = [*(part.console for part in stack.parts), *(job.log for job in stack.jobs), home.logs / "supervisor.log"]
    keeper = threading.Thread(target=keep, args=(home, consoles, board, metrics, supervisor.stop), name="keeper")
    keeper.start()
    log.info("started", extra={"home": str(home.root), "parts": list(initial)})
    supervisor.run()
    keeper.join()
    server.shutdown()
    log.info("stopped")


def _selected(stack: Stack, only: str) -> Stack:
    """FORYOU_ONLY=kafka,registry keeps the stack to those parts; the tests of a part use it."""
    if not only:
        return stack
    names = {name.strip() for name in only.split(",")}
    return Stack(
        tuple(part for part in stack.parts if part.name in names),
        tuple(job for job in stack.jobs if job.name in names),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
