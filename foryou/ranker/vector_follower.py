"""Follows the pointer to the night's vectors and hangs a whole version beside each app's catalogue."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from foryou.ranker.vectors import AppVectors, BrokenVersion, Shown, current, load
from foryou.ranker.world import World, Worlds
from foryou.service.metrics import Metrics

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
GROWN = 50  # the catalogue is looked through anew when one part in so many of it is new…
GROWN_LEAST = 100  # …and at least so many videos are


class VectorFollower:
    """One thread: looks at CURRENT, loads what it names, swaps it in by one reference per app.

    An absent version is no news; a broken one is said once, and the one before stays. Viewers never notice either.
    """

    def __init__(self, folder: Path, worlds: Worlds, metrics: Metrics) -> None:
        self._thread = threading.Thread(target=self._run, name="follow vectors", daemon=True)
        self._folder, self._worlds, self._metrics = folder, worlds, metrics
        self._stopping = threading.Event()
        self._apps: dict[str, AppVectors] = {}
        self.version: str | None = None  # in use
        self.lacks: str | None = "there are no vectors yet"
        self._tried: tuple[str, int] | None = None  # broken when it was named then: not read again until named anew

    def start(self) -> None:
        """Begins to look, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end."""
        self._stopping.set()

    def look(self) -> None:
        """One look: a new version is taken, grown catalogues are looked through again."""
        named = current(self._folder)
        if named is not None and named[0] != self.version and named != self._tried:
            self._take(*named)
        for app_id, world in list(self._worlds.items()):
            self._show(world, self._apps.get(app_id))

    def _take(self, named: str, named_at: int) -> None:
        try:
            self._apps = load(self._folder, named)
        except BrokenVersion as broken:
            self._tried, self.lacks = (named, named_at), f"{named} is broken: {broken}"
            self._metrics.counter("foryou_ranker_broken_vectors_total").inc()
            log.warning("vectors cannot be used", extra={"version": named, "why": str(broken)})
            return
        self.version, self.lacks, self._tried = named, None, None
        log.info("vectors are in use", extra={"version": named, "apps": len(self._apps)})

    def _show(self, world: World, vectors: AppVectors | None) -> None:
        shown = world.vectors
        if vectors is None:
            world.vectors = None
        elif shown is None or shown.vectors is not vectors or _grown(shown, len(world.catalogue)):
            world.vectors = Shown.beside(vectors, world.catalogue)

    def _run(self) -> None:
        while True:
            try:
                self.look()
                videos = sum(len(shown.rows) for world in list(self._worlds.values()) if (shown := world.vectors))
                self._metrics.gauge("foryou_ranker_vectors").set(videos)
            except Exception:  # the thread's own boundary: the vectors in use stay
                log.exception("following the vectors failed; trying again")
            if self._stopping.wait(LOOK_EVERY_S):
                return


def _grown(shown: Shown, videos: int) -> bool:
    if len(shown.rows) == len(shown.vectors.video_ids):
        return False  # every vector has its video
    return videos - shown.known > max(GROWN_LEAST, shown.known // GROWN)
