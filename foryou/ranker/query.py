"""One request for a feed: as it came in at the door, and hydrated with all that the stages need to know."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from foryou.ranker.candidates import Floats, Mask
from foryou.ranker.catalogue import Rows
from foryou.ranker.shelves import Shelves
from foryou.ranker.user_features import UserFeatures
from foryou.ranker.vectors import Shown
from foryou.ranker.weights import Weights
from foryou.ranker.world import World

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class FeedRequest:
    """What a viewer asked for. Only keys in here, never a client's id. Time in UTC ms."""

    app_id: str
    user_key: str
    limit: int
    request_id: str
    now_ms: int
    region: str | None = None
    language: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Viewer:
    """The viewer's word on creators (codes) and videos (rows)."""

    follows: Codes
    blocked: Codes  # in either direction
    hidden: Codes
    not_interested: Rows
    itself: int  # the viewer as a creator, or UNKNOWN


@dataclass(frozen=True)
class Query:
    """What every stage gets. Hydrators fill it in their order; a stage may rely on those before it."""

    request: FeedRequest
    world: World
    weights: Weights
    features: UserFeatures | None  # None: unavailable; no values: an unknown viewer
    vectors: Shown | None = None  # the version that this request began with
    viewer: Viewer | None = None
    seen: Mask = field(default_factory=lambda: np.empty(0, np.bool_))  # by row
    seen_count: int = 0
    affinity: Floats = field(default_factory=lambda: np.empty(0))  # by category code, -1..1
    recent: Mask = field(default_factory=lambda: np.empty(0, np.bool_))  # by category code: watched in this session
    region: int = 0
    language: int = 0

    def hydrated(self, **changes: object) -> "Query":
        """The query with more known."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def model_version(self) -> str:
        """The weights, and the version of vectors where there is one."""
        vectors = self.vectors
        return self.weights.version if vectors is None else f"{self.weights.version}+{vectors.vectors.version}"

    def known_viewer(self) -> Viewer:
        """The viewer; a stage that asks comes after the ViewerHydrator."""
        assert self.viewer is not None, "ViewerHydrator comes first"
        return self.viewer

    def rng(self, stage: str) -> np.random.Generator:
        """Chance for one stage of one request: the same request draws the same numbers."""
        return np.random.default_rng(list(hashlib.blake2b(f"{self.request.request_id}|{stage}".encode()).digest()[:16]))

    def shelves(self) -> Shelves:
        """Candidate lists; a query is made only where they are stocked."""
        assert self.world.shelves is not None, "World.restock comes first"
        return self.world.shelves

    def unseen(self, rows: Rows, most: int) -> Rows:
        """The first `most` of `rows` that this viewer was not shown: lets a source reach deeper for a busy viewer."""
        head = rows[: most + self.seen_count]
        return head[~self.seen[head]][:most]
