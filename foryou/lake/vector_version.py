"""One version of vectors on disk: a folder that is there whole or not at all, and a file that names the current one.

    lake/models/embeddings/CURRENT                          one line: the version
    lake/models/embeddings/<version>/videos.parquet         app_id, video_id, vector list<float>
                                     users.parquet          app_id, user_key, vector
                                     creators.parquet       app_id, creator_key, vector
                                     meta.json              version, day, dims, rows, metrics, inputs

Readers (the ranker) take the name from CURRENT and then read that folder alone, so what they hold is of one version. A
version's name is its day and the hash of its vectors: the same vectors are the same version, whenever they are written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

KEYS = {"videos": "video_id", "users": "user_key", "creators": "creator_key"}
CURRENT = "CURRENT"
KEPT = 3


@dataclass(frozen=True)
class VectorTables:
    """The three tables of a version: app_id, the key named in KEYS, vector (list<float>); sorted by app and key."""

    day: date
    dims: int
    videos: pa.Table
    users: pa.Table
    creators: pa.Table

    def named(self) -> dict[str, pa.Table]:
        """By name of the file."""
        return {name: getattr(self, name) for name in KEYS}

    @property
    def version(self) -> str:
        """`<day>-<12 hex digits>` of the keys and vectors of all three."""
        digest = hashlib.sha256(str(self.dims).encode())
        for name, table in self.named().items():
            keys = zip(table["app_id"].to_pylist(), table[KEYS[name]].to_pylist(), strict=True)
            digest.update("\0".join(f"{app}\1{key}" for app, key in keys).encode() + b"\2")
            flat = table["vector"].combine_chunks().flatten()
            digest.update(flat.to_numpy(zero_copy_only=False).astype("<f4").tobytes())
        return f"{self.day.isoformat()}-{digest.hexdigest()[:12]}"


def vector_table(keys: pa.Table, key: str, matrix: np.ndarray[Any, np.dtype[np.float32]]) -> pa.Table:
    """A table of a version out of keys (app_id and `key`) and a matrix with a row for each."""
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    vectors = pa.ListArray.from_arrays(offsets, pa.array(matrix.ravel(), pa.float32()))
    columns = {name: keys[name].combine_chunks().cast(pa.string()) for name in ("app_id", key)}
    return pa.table({**columns, "vector": vectors})


def publish(folder: Path, tables: VectorTables, metrics: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """Writes a version whole, names it as the current one unless that is of a later day, forgets all but the newest
    `KEPT`; returns its name.

    Killed anywhere, the old version stays current and the next call does it all again.
    """
    version = tables.version
    draft = folder / f".draft-{version}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, table in tables.named().items():
        pq.write_table(table, draft / f"{name}.parquet", compression="zstd")
    meta = {
        "version": version,
        "day": tables.day.isoformat(),
        "dims": tables.dims,
        "rows": {name: table.num_rows for name, table in tables.named().items()},
        "metrics": dict(metrics),
        "inputs": dict(inputs),
    }
    (draft / "meta.json").write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n", "utf-8")
    for path in [*draft.iterdir(), draft]:
        _sync(path)
    home = folder / version
    if all((home / part.name).exists() for part in draft.iterdir()):
        shutil.rmtree(draft)  # the same vectors are there already, and perhaps being read
    else:
        shutil.rmtree(home, ignore_errors=True)  # a version that has lost a file is no version
        draft.rename(home)
        _sync(folder)
    before = current(folder)
    if before is None or day_of(before) <= tables.day:  # a day of the past, made again, is not what people like now
        _name_current(folder, version)
    _forget(folder, {version, current(folder)})
    return version


def day_of(version: str) -> date:
    """The day that a version is of."""
    return date.fromisoformat(version[:10])


def current(folder: Path) -> str | None:
    """The current version's name; None when there is none yet."""
    try:
        return (folder / CURRENT).read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None


def versions(folder: Path) -> list[str]:
    """Whole versions on disk, the oldest day first."""
    return sorted(path.parent.name for path in folder.glob("[0-9]*/meta.json"))


def _name_current(folder: Path, version: str) -> None:
    draft = folder / f".{CURRENT}"
    draft.write_text(version + "\n", "utf-8")
    _sync(draft)
    draft.replace(folder / CURRENT)
    _sync(folder)


def _forget(folder: Path, keep: Set[str | None]) -> None:
    others = [name for name in versions(folder) if name not in keep]
    for name in others[: max(0, len(others) + len(keep) - KEPT)]:
        shutil.rmtree(folder / name)
    for draft in folder.glob(".draft-*"):
        shutil.rmtree(draft, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
