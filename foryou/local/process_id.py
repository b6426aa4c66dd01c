"""Which process is which. A pid alone is reused; a pid with its start time, or with our mark, is not.

Every process of a stack carries `FORYOU_STACK=<home>` and `FORYOU_PART=<name>` in its environment, and so do its
children: `foryou down` finds them all by it, whatever was killed before.
"""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

STACK_MARK = "FORYOU_STACK"
PART_MARK = "FORYOU_PART"
PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessId:
    """A process: pid and the clock tick since boot at which it started."""

    pid: int
    started: int


def identify(pid: int, proc: Path = PROC) -> ProcessId | None:
    """The identity of a living process; None when it is gone, or dead and not yet reaped."""
    try:
        # The command's name is in brackets and may hold spaces and brackets: count fields after the last one.
        fields = (proc / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    state, started = fields[0], int(fields[19])
    return None if state in "ZX" else ProcessId(pid, started)


def alive(process: ProcessId, proc: Path = PROC) -> bool:
    """True while that very process lives, not another one with its pid."""
    return identify(process.pid, proc) == process


def marks(home: Path, part: str) -> dict[str, str]:
    """What goes into the environment of a process of the stack."""
    return {STACK_MARK: str(home), PART_MARK: part}


def marked(home: Path, part: str | None = None, proc: Path = PROC) -> list[ProcessId]:
    """Every living process of the stack in `home` (of one part of it), besides this one and those that it runs in."""
    mine = set(_ancestors(os.getpid(), proc))
    wanted = {f"{STACK_MARK}={home}".encode()} | ({f"{PART_MARK}={part}".encode()} if part else set())
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdigit() or int(folder.name) in mine:
            continue
        try:
            environment = set((folder / "environ").read_bytes().split(b"\0"))
        except OSError:
            continue  # gone meanwhile, or another user's
        if wanted <= environment:
            process = identify(int(folder.name), proc)
            if process is not None:
                found.append(process)
    return found


def end(processes: Iterable[ProcessId], grace_s: float) -> list[ProcessId]:
    """Asks each to stop (SIGTERM), waits, then kills. Returns those that had to be killed."""
    left = [process for process in processes if _send(process, signal.SIGTERM)]
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if alive(process)]
    killed = [process for process in left if _send(process, signal.SIGKILL)]
    while any(alive(process) for process in killed):
        time.sleep(0.02)
    return killed


def _send(process: ProcessId, number: signal.Signals) -> bool:
    if not alive(process):
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _ancestors(pid: int, proc: Path) -> Iterable[int]:
    while pid > 0:
        yield pid
        try:
            pid = int((proc / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return
