"""Where the supervisor's threads meet: the state of every part, written to the state file at each change."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from foryou.local import state
from foryou.local.state import StackState


class Board:
    """The state of the stack, shared by threads."""

    def __init__(self, path: Path, initial: StackState, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._state = initial
        self._now_ms = now_ms
        self._changed = threading.Condition()
        state.save(path, initial)

    @property
    def now(self) -> StackState:
        """The state of this moment."""
        with self._changed:
            return self._state

    def set(self, name: str, **changes: Any) -> None:
        """Changes fields of a part's state; a new phase starts its clock."""
        with self._changed:
            before = self._state.parts[name]
            after = replace(before, **changes)
            if after == before:
                return
            if after.phase != before.phase:
                after = replace(after, since_ms=self._now_ms())
            self._state = self._state.with_part(after)
            state.save(self._path, self._state)
            self._changed.notify_all()

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of the names that are not healthy."""
        parts = self.now.parts
        return [name for name in names if parts[name].phase != "healthy"]

    def wait_while(self, condition: Callable[[StackState], bool], timeout_s: float) -> bool:
        """Waits until the condition is false. Returns True when it is, False when the time is up first."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while condition(self._state):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True
