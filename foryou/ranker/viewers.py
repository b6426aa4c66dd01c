"""What one app's viewers have said about creators and videos, and what they have been shown.

Two bounds, both said here because they bound a promise: a viewer's newest `SEEN_PER_VIEWER` videos are never shown
again, and the `VIEWERS_WITH_SEEN` viewers who were served last are remembered.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEEN_PER_VIEWER = 5_000
VIEWERS_WITH_SEEN = 200_000
_ECHO = 512  # an own page comes back from the log within moments: look for it among this many newest

KEPT_RELATIONS = frozenset({"follow", "block", "hide_creator", "not_interested"})


@dataclass
class _Registers:
    """Newest word per (relation, object), `off` included: an older `on` must not come back."""

    words: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    on: dict[str, set[str]] = field(default_factory=dict)


_NOBODY = _Registers()


class Viewers:
    """Last-writer-wins relations and a bounded memory of what was served. Safe to use from several threads."""

    def __init__(self, per_viewer: int = SEEN_PER_VIEWER, viewers: int = VIEWERS_WITH_SEEN) -> None:
        self._per_viewer, self._viewers = per_viewer, viewers
        self._registers: dict[str, _Registers] = {}
        self._blocked_by: dict[str, set[str]] = {}
        self._seen: OrderedDict[str, array[int]] = OrderedDict()
        self._lock = Lock()
        self.forgotten = 0  # viewers whose pages were forgotten for lack of room

    def apply(self, relation: Mapping[str, Any]) -> bool:
        """Takes one record of relation.avsc; False when it was older than what is known, or of no use here."""
        name, thing = relation["relation"], relation["object"]
        if name not in KEPT_RELATIONS:
            return False
        word = (relation["time"], relation["event_id"])
        with self._lock:
            registers = self._registers.setdefault(relation["user_key"], _Registers())
            if word <= registers.words.get((name, thing), (-1, "")):
                return False
            registers.words[(name, thing)] = word
            objects = registers.on.setdefault(name, set())
            change = set.add if relation["state"] == "on" else set.discard
            change(objects, thing)
            if name == "block":
                change(self._blocked_by.setdefault(thing, set()), relation["user_key"])
        return True

    def objects(self, user_key: str, relation: str) -> list[str]:
        """Objects that the viewer's relation is on for, in no order."""
        with self._lock:
            return list(self._registers.get(user_key, _NOBODY).on.get(relation, ()))

    def blockers(self, user_key: str) -> list[str]:
        """People who block this person: neither sees the other."""
        with self._lock:
            return list(self._blocked_by.get(user_key, ()))

    def mark_served(self, user_key: str, rows: Iterable[int]) -> None:
        """Remembers that the viewer was shown these rows of the catalogue. Saying it twice changes nothing."""
        with self._lock:
            seen = self._seen.get(user_key)
            if seen is None:
                seen = self._seen[user_key] = array("i")
                if len(self._seen) > self._viewers:
                    self._seen.popitem(last=False)
                    self.forgotten += 1
            self._seen.move_to_end(user_key)
            newest = set(seen[-_ECHO:])
            seen.extend(row for row in rows if row not in newest)
            if len(seen) > self._per_viewer * 5 // 4:  # trimmed now and then, not at every page
                del seen[: len(seen) - self._per_viewer]

    def seen(self, user_key: str) -> NDArray[np.int32]:
        """Rows that the viewer was shown, oldest first."""
        with self._lock:
            return np.array(self._seen.get(user_key, ()), np.int32)
