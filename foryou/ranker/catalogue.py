"""One app's videos as columns: a video is a row for ever, and every stage of the pipeline works on row numbers.

Columns have a fixed capacity. The memory is zeroed by the kernel when it is first touched, so room for a million videos
costs only what is used, and no thread ever sees a column being moved.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foryou.ranker.vocabulary import UNKNOWN, Vocabulary

CAPACITY = 1 << 20
_TIE_BITS = 20

Rows = NDArray[np.int32]
_WORDS = ("creator_key", "category", "language", "region")
_FIELDS = (*_WORDS, "duration_ms", "published_at", "moderation")


class Catalogue:
    """Folds content events. One thread applies, any thread reads.

    Described fields are last-writer-wins registers of their own (an event says only what changed), by clamped time,
    ties by event id. A removal is stronger than that: it holds until a publication that is newer both by the client's
    clock and by ours, because a clock that runs behind must not keep a removed video alive, nor may a publication that
    is sent again revive it.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.ids: list[str] = []
        self.rows: dict[str, int] = {}
        self.creators, self.categories = Vocabulary(), Vocabulary()
        self.languages, self.regions = Vocabulary(), Vocabulary()
        self.creator = np.zeros(capacity, np.int32)
        self.category = np.zeros(capacity, np.int16)
        self.language = np.zeros(capacity, np.int16)
        self.region = np.zeros(capacity, np.int16)
        self.duration_ms = np.zeros(capacity, np.int64)
        self.published_at = np.zeros(capacity, np.int64)
        self.eligible = np.zeros(capacity, np.bool_)
        self.version = 0  # grows with every change that matters to candidate lists
        self.refused = 0  # events of videos that found no room
        self._blocked = np.zeros(capacity, np.bool_)
        self._published = np.zeros((capacity, 2), np.int64)  # newest publication: clamped time, received
        self._removed = np.zeros((capacity, 2), np.int64)  # newest removal by either clock
        self._stamps = np.zeros((capacity, len(_FIELDS)), np.int64)
        self._vocabularies = dict(
            zip(_WORDS, (self.creators, self.categories, self.languages, self.regions), strict=True)
        )
        self._columns: dict[str, NDArray[Any]] = {
            "creator_key": self.creator,
            "category": self.category,
            "language": self.language,
            "region": self.region,
            "duration_ms": self.duration_ms,
            "published_at": self.published_at,
        }

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, video_id: str) -> int:
        """The video's row, or -1."""
        return self.rows.get(video_id, -1)

    def category_name(self, row: int) -> str | None:
        """The category of a row."""
        return self.categories.words[int(self.category[row])]

    def creator_key(self, row: int) -> str:
        """The creator of a row; empty when nobody said."""
        return self.creators.words[int(self.creator[row])] or ""

    def apply(self, event: Mapping[str, Any]) -> int:
        """Folds one content event (a record of content.avsc) in; returns its row, or -1 when there is no room."""
        row = self._row(event["video_id"])
        if row < 0:
            self.refused += 1
            return row
        time, received = min(event["event_time"], event["received_at"]), event["received_at"]
        stamp = time << _TIE_BITS | zlib.crc32(event["event_id"].encode()) & ((1 << _TIE_BITS) - 1)
        kind = event["event_type"]
        if kind == "video_removed":
            self._removed[row] = np.maximum(self._removed[row], (time, received))
        else:
            self._describe(row, stamp, event, time if kind == "video_published" else None)
            if kind == "video_published" and time > self._published[row, 0]:
                self._published[row] = (time, received)
        (out_time, out_received), (in_time, in_received) = self._removed[row].tolist(), self._published[row].tolist()
        self.eligible[row] = in_time > out_time and in_received > out_received and not self._blocked[row]
        self.version += 1
        return row

    def _describe(self, row: int, stamp: int, event: Mapping[str, Any], published: int | None) -> None:
        stamps = self._stamps[row]
        for place, field in enumerate(_FIELDS):
            value = event[field]
            if value is None and field == "published_at":
                value = published
            if value is None or stamp <= stamps[place]:
                continue
            stamps[place] = stamp
            if field == "moderation":
                self._blocked[row] = value == "blocked"
            elif place < len(_WORDS):
                self._columns[field][row] = self._code(field, value)
            else:
                self._columns[field][row] = value

    def _code(self, field: str, word: str) -> int:
        vocabulary = self._vocabularies[field]
        if field == "creator_key" or len(vocabulary) < np.iinfo(np.int16).max:
            return vocabulary.code(word)
        return vocabulary.find(word) or UNKNOWN  # more genres than a column can tell apart: the rest is "unknown"

    def _row(self, video_id: str) -> int:
        row = self.rows.get(video_id)
        if row is None:
            row = len(self.ids)
            if row >= self.capacity:
                return -1
            self.ids.append(video_id)
            self.rows[video_id] = row
        return row
