"""What a process tells the kernel about how it wants to run.

Linux weighs sessions before processes where autogroups are on (most distributions): a process at the lowest priority in
a session of its own then gets as much as all of another session. Whoever stands back lets its session stand back, too.
"""

import ctypes
import os
import platform
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path

SHORT_SLICE_NS = 100_000  # the shortest that the kernel takes
BEHIND = 10  # a ninth of the weight of what people wait for, and seven times that of a night
LAST = 19  # the lowest weight
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_ATTR = struct.Struct("=IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, deadline, period
_PR_SET_PDEATHSIG = 1


def wake_soon() -> bool:
    """Asks for short turns on the processor, and gets them sooner: for who does little, and is waited for.

    Its share of the processors stays what it was. Threads started later have it, too. False where it was not
    asked; kernels before 6.12 take it and do nothing.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or platform.system() != "Linux" or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False  # who was told to stand back, or to go first, stays so
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    said = _ATTR.pack(_ATTR.size, 0, 0, nice, 0, SHORT_SLICE_NS, 0, 0)
    return bool(ctypes.CDLL(None, use_errno=True).syscall(number, 0, ctypes.c_char_p(said), 0) == 0)


def stand_back(nice: int, pid: int = 0) -> None:
    """Lets others go first: a process (0: this one), and its session if it leads one: nobody's terminal is slowed."""
    pid = pid or os.getpid()
    with suppress(ProcessLookupError):  # it has ended
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        if os.getsid(pid) == pid:
            with suppress(OSError):  # no autogroups here
                Path(f"/proc/{pid}/autogroup").write_text(str(nice), "ascii")


def end_with_parent() -> None:
    """Has the kernel kill this process when the thread that started it ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def become(command: list[str], *, when_idle: bool) -> None:
    """Becomes `command`, in a session of its own, and ends with its parent; `when_idle`: gets what all others leave."""
    end_with_parent()
    os.setsid()
    if when_idle:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        stand_back(LAST)
    os.execvp(command[0], command)


if __name__ == "__main__":
    become(sys.argv[2:], when_idle=sys.argv[1] == "idle")
