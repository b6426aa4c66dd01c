"""What a process tells the kernel about how it wants to run."""

import ctypes
import os
import platform
import struct

SHORT_SLICE_NS = 100_000  # the shortest that the kernel takes
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_ATTR = struct.Struct("=IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, deadline, period


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
