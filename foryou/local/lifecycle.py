"""Up and down, as the CLI and the tests call them."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from foryou.local import state, temporary
from foryou.local.home import Home, HomeUnusable
from foryou.local.jdk import JavaMissing, find_jdk
from foryou.local.ports import PortTaken, check_free, setting_of
from foryou.local.process_id import ProcessId, alive, end, marked, marks
from foryou.local.stack import JARS, STREAMING_PYTHON
from foryou.local.state import StackState
from foryou.service.settings import REPO, Settings

STOP_S = 40.0
KILLED_S = 10.0
POLL_S = 0.2


class CannotStart(Exception):
    """Why the stack does not start, in one sentence."""


def running(home: Home) -> bool:
    """True while a supervisor has this home."""
    if not home.lock.exists():
        return False
    with home.lock.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def runs_here(settings: Settings, name: str) -> bool:
    """True while that part of this home's own stack lives, on the port that these settings say. The default ports are
    every home's: what answers there may be another's.
    """
    now = state.load(Home(settings.home).state)
    part = now.parts.get(name) if now is not None else None
    if now is None or part is None or part.process is None or not alive(part.process):
        return False
    return now.ports.get(name) in (None, settings.ports.get(name))


def elsewhere(settings: Settings) -> str | None:
    """One sentence, where the running stack of this home has other ports than these settings say; else None."""
    home = Home(settings.home)
    now = state.load(home.state) if running(home) else None
    if now is None or all(settings.ports.get(name, port) == port for name, port in now.ports.items()):
        return None
    return (
        f"The stack of {home.root} listens on other ports: it was started with {setting_of(now.ports)}. "
        "Set exactly that, or end it with `foryou down` first."
    )


def start(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Starts the supervisor, detached; returns False when one is running already. Raises CannotStart."""
    home = Home(settings.home)
    if running(home) and marked(home.root, "supervisor"):
        return False
    try:
        home.open()
        home.let_java_load()
        check_installed(STREAMING_PYTHON, JARS)
        find_jdk(environ)
        # A supervisor that was killed leaves its processes behind: they hold ports and files.
        end(marked(home.root), grace_s=5.0)
        wait_gone(left_by(state.load(home.state)), KILLED_S)
        home.state.unlink(missing_ok=True)
        check_free(settings)
    except (HomeUnusable, JavaMissing, PortTaken) as error:
        raise CannotStart(str(error)) from error
    settings.secrets()
    with (home.logs / "supervisor.log").open("ab") as out:
        subprocess.Popen(
            [sys.executable, "-m", "foryou.local"],
            env={
                **environ,
                **settings.environ(),
                **temporary.environ(home, "supervisor"),
                **marks(home.root, "supervisor"),
            },
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=REPO,
            start_new_session=True,
        )
    return True


def left_by(last: StackState | None) -> list[ProcessId]:
    """Every process that the last state names."""
    if last is None:
        return []
    parts = (part.process for part in last.parts.values())
    return [last.supervisor, *(process for process in parts if process is not None)]


def wait_gone(processes: list[ProcessId], within_s: float) -> None:
    """Waits until the kernel is through with processes that were killed.

    A process that is being ended loses its memory first, and with it the environment by which `marked` finds it, and
    only then its files: for a moment it still holds its ports and the supervisor's lock, and nothing shows whose it is.
    """
    deadline = time.monotonic() + within_s
    while any(alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)


def wait_ready(
    settings: Settings, timeout_s: float, seen: Callable[[StackState], None] = lambda _: None
) -> StackState | None:
    """Waits until every part is healthy, showing each state to `seen`. Returns the last state: ready or not.

    None when the supervisor died without a word; its log says why.
    """
    home, deadline, last = Home(settings.home), time.monotonic() + timeout_s, None
    patience = time.monotonic() + 10.0  # until the supervisor has its lock
    while time.monotonic() < deadline:
        now = state.load(home.state)
        if now is not None:
            last = now
            seen(now)
            if now.ready and alive(now.supervisor):
                return now
        if not running(home) and time.monotonic() > patience:
            return None
        time.sleep(POLL_S)
    return last


def stop(settings: Settings) -> int:
    """Ends every process of the stack, the supervisor's own way first. Returns how many there were."""
    home = Home(settings.home)
    if not home.root.is_dir():
        return 0
    before = len(marked(home.root))
    supervisors = marked(home.root, "supervisor")
    if supervisors and running(home):
        end(supervisors, grace_s=STOP_S)
    end(marked(home.root), grace_s=5.0)
    home.state.unlink(missing_ok=True)
    return before


def check_installed(python: Path, jars: Path) -> None:
    """Raises CannotStart when an environment or a jar folder is missing."""
    missing = [
        str(path.relative_to(REPO)) for path in (python, *(jars / name for name in FOLDERS)) if not path.exists()
    ]
    if missing:
        raise CannotStart(f"{', '.join(missing)} is missing: run `make install`.")


FOLDERS = ("kafka", "registry", "flink")
