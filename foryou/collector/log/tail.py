"""Reads the log in order, from a position on, while it is being written."""

import os
from dataclasses import dataclass
from pathlib import Path

from foryou.collector.log.frames import Bad, Frame, scan
from foryou.collector.log.segments import Position, Segment, segments

WINDOW_BYTES = 1 << 20
LOOK_EVERY = 16  # reads without news between two looks at the folder


@dataclass(frozen=True, slots=True)
class Piece:
    """What was read of one segment; `until` is the position behind it."""

    segment: Segment
    found: list[Frame | Bad]
    until: Position


class Tail:
    """A reader. It needs no more than the folder: a writer may be alive, dead, or not yet born."""

    def __init__(self, folder: Path, position: Position) -> None:
        self._folder = folder
        self.position = position
        self._segment: Segment | None = None
        self._file = -1
        self._sealed = False
        self._empty = 0

    @property
    def segment(self) -> Segment | None:
        """The segment that the position is in; None while there is none."""
        return self._segment

    def read(self) -> Piece | None:
        """The next frames, at most about a window's worth; None when there is nothing new."""
        while True:
            if self._segment is None and not self._open():
                return None
            assert self._segment is not None
            piece = self._piece(self._segment)
            if piece is not None:
                self.position, self._empty = piece.until, 0
                return piece
            if self._sealed:
                self.position = Position(self._segment.number + 1, 0)
                self.close()
            elif not self._followed(self._segment):
                return None

    def _followed(self, segment: Segment) -> bool:
        """Whether another segment follows, so that this one is written to no more; its rest is read after that."""
        self._empty += 1
        if self._empty % LOOK_EVERY == 1:
            self._sealed = any(each.number > segment.number for each in segments(self._folder))
        return self._sealed

    def close(self) -> None:
        """Closes the file under the reader; it can go on reading afterwards."""
        if self._file >= 0:
            os.close(self._file)
        self._segment, self._file, self._sealed, self._empty = None, -1, False, 0

    def _open(self) -> bool:
        """Opens the segment of the position, or the first one after it."""
        for segment in segments(self._folder):
            if segment.number >= self.position.segment:
                try:
                    self._file = os.open(segment.path, os.O_RDONLY)
                except FileNotFoundError:  # deleted since it was listed
                    continue
                if segment.number != self.position.segment:
                    self.position = Position(segment.number, 0)
                self._segment, self._sealed = segment, False
                return True
        return False

    def _piece(self, segment: Segment) -> Piece | None:
        at = self.position.offset
        data = os.pread(self._file, WINDOW_BYTES, at)
        if not data:
            return None
        whole = len(data) < WINDOW_BYTES
        read = scan(data, segment.marker, at, ended=self._sealed and whole)
        if not read.found and not whole:  # a large frame, or a long bad stretch: a segment's rest is bounded
            data = os.pread(self._file, max(0, os.fstat(self._file).st_size - at), at)
            read = scan(data, segment.marker, at, ended=self._sealed)
        if not read.found:
            return None
        return Piece(segment, read.found, Position(segment.number, read.next_at))
