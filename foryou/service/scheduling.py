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
import time
from pathlib import Path

SHORT_SLICE_NS = 100_000  # the shortest that the kernel takes
BEHIND = 10  # a ninth of the weight of what people wait for, and seven times that of a night
LAST = 19  # the lowest weight
PATIENCE = 30
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


def stand_back(nice: int, pid: int = 0) -> bool:
    """Lets others go first: a process (0: this one), and its session if it leads one: nobody's terminal is slowed.

    Who stands further back already stays there. False if the kernel did not take it: all goes on as it did.
    """
    pid = pid or os.getpid()
    try:
        nice = max(nice, os.getpriority(os.PRIO_PROCESS, pid))
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        return os.getsid(pid) != pid or weigh_session(pid, nice)
    except OSError:  # it has ended, or may not
        return False


def session_weight(pid: int) -> int | None:
    """The weight of the session of a process, as nice has it. Raises OSError.

    None where it has none of its own: the kernel says nothing of the first session of a machine, nor weighs it.
    """
    said = Path(f"/proc/{pid}/autogroup").read_text("ascii").split()  # /autogroup-7 nice 0
    return int(said[-1]) if said else None


def weigh_session(pid: int, nice: int) -> bool:
    """Gives the session of a process a weight, as nice does a process. False where it was not taken. Raises OSError."""
    for _ in range(PATIENCE):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(str(nice), "ascii")
        except BlockingIOError:  # on the whole machine the kernel takes ten a second from those who are not root
            time.sleep(0.1)
        except FileNotFoundError:
            return True  # sessions are not weighed here
        else:
            return True
    return False


def end_with_parent(parent: int | None = None) -> None:
    """Has the kernel kill this process when the thread that started it ends, however it ends.

    `parent`: its process; if that has ended already, so does this one.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        sys.exit(1)


def become(command: list[str], *, parent: int, when_idle: bool) -> None:
    """Becomes `command`, in a session of its own, and ends with `parent`, which started it.

    `when_idle`: it gets what all others leave; else as much as a part of the stack that nobody waits for.
    """
    end_with_parent(parent)
    os.setsid()
    if when_idle:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    stand_back(LAST if when_idle else BEHIND)
    os.execvp(command[0], command)


def turn(*, when_idle: bool) -> tuple[str, ...]:
    """What goes before a command that shall `become` one started by this process."""
    return (sys.executable, "-m", "foryou.service.scheduling", "idle" if when_idle else "at-once", str(os.getpid()))


if __name__ == "__main__":
    become(sys.argv[3:], parent=int(sys.argv[2]), when_idle=sys.argv[1] == "idle")
