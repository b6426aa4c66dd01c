"""What the night learnt, as the ranker holds it: one version of vectors, and where its videos are in the catalogue.

The format on disk (`lake/models/embeddings/`): a file CURRENT names a folder with videos.parquet (app_id, video_id,
vector), users.parquet (app_id, user_key, vector) and meta.json (version, dims, …); see docs/trends-and-embeddings.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foryou.ranker.catalogue import Catalogue, Rows

CURRENT = "CURRENT"
Vector = NDArray[np.float32]
Matrix = NDArray[np.float32]


class BrokenVersion(Exception):
    """The folder does not hold what its meta.json says."""


@dataclass(frozen=True)
class AppVectors:
    """One app's part of a version, by place: videos (n × dims), their lengths, and users (m × dims)."""

    version: str
    video_ids: tuple[str, ...]
    videos: Matrix
    lengths: Vector
    users: Matrix
    user_places: Mapping[str, int]

    def user(self, user_key: str) -> Vector | None:
        """The person's vector; None for somebody the night did not know."""
        place = self.user_places.get(user_key)
        return None if place is None else self.users[place]


@dataclass(frozen=True)
class Shown:
    """An app's vectors laid beside its catalogue: the videos of both. Made anew when the catalogue grows."""

    vectors: AppVectors
    rows: Rows  # catalogue row of each vector here
    videos: Matrix
    lengths: Vector
    place: NDArray[np.int32]  # by catalogue row, up to those known when this was made: place here, or -1
    known: int  # videos of the catalogue then

    @classmethod
    def beside(cls, vectors: AppVectors, catalogue: Catalogue) -> Shown:
        """Looks every video up; those that the catalogue does not know are left out."""
        known = len(catalogue)
        found = np.fromiter((catalogue.find(video) for video in vectors.video_ids), np.int32, len(vectors.video_ids))
        there = (found >= 0) & (found < known)
        rows = found[there]
        place = np.full(known, -1, np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        whole = bool(there.all())  # then nothing is copied
        videos, lengths = vectors.videos, vectors.lengths
        return cls(
            vectors, rows, videos if whole else videos[there], lengths if whole else lengths[there], place, known
        )

    def places(self, rows: Rows) -> NDArray[np.int32]:
        """The place of each catalogue row's vector, -1 where there is none."""
        inside = rows < len(self.place)
        return np.where(inside, self.place[np.where(inside, rows, 0)] if len(self.place) else -1, -1).astype(np.int32)


def current(folder: Path) -> tuple[str, int] | None:
    """The version that CURRENT names, and when it was named (ns); None when there is no such file yet."""
    pointer = folder / CURRENT
    try:
        named_at, version = pointer.stat().st_mtime_ns, pointer.read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    return (version, named_at) if version else None


def load(folder: Path, version: str) -> dict[str, AppVectors]:
    """A version by app. Raises BrokenVersion, naming what is wrong, whatever is on disk."""
    home = folder / version
    try:
        meta = json.loads((home / "meta.json").read_text("utf-8"))
        dims = int(meta["dims"])
        said, rows = str(meta["version"]), {name: int(count) for name, count in meta["rows"].items()}
        if said != version:
            raise BrokenVersion(f"meta.json is of {said}")
        videos, users = (_read(home / f"{name}.parquet", key, dims, rows[name]) for name, key in _KEYS.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise BrokenVersion(f"{type(error).__name__}: {error}") from error
    nobody: tuple[tuple[str, ...], Matrix] = ((), np.empty((0, dims), np.float32))
    return {
        app: _app(version, *videos.get(app, nobody), *users.get(app, nobody)) for app in videos.keys() | users.keys()
    }


_KEYS = {"videos": "video_id", "users": "user_key"}


def _read(path: Path, key: str, dims: int, rows: int) -> dict[str, tuple[tuple[str, ...], Matrix]]:
    table = pq.read_table(path, columns=["app_id", key, "vector"])
    if table.num_rows != rows:
        raise BrokenVersion(f"{path.name} has {table.num_rows} rows, not {rows}")
    found = {}
    for app in pc.unique(table["app_id"]).to_pylist():
        mine = table.filter(pc.equal(table["app_id"], app))
        flat = mine["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        if len(flat) != mine.num_rows * dims or not np.isfinite(flat).all():
            raise BrokenVersion(f"{path.name} has vectors that are not {dims} numbers")
        found[str(app)] = (tuple(mine[key].to_pylist()), flat.astype(np.float32).reshape(-1, dims))
    return found


def _app(version: str, ids: tuple[str, ...], videos: Matrix, keys: tuple[str, ...], users: Matrix) -> AppVectors:
    lengths = np.linalg.norm(videos, axis=1).astype(np.float32)
    return AppVectors(version, ids, videos, lengths, users, {key: place for place, key in enumerate(keys)})
