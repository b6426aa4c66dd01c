"""The users of a version of vectors, pushed into Feast's online store through the store process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from foryou.lake.vector_version import day_of

PUSH_SOURCE = "user_embeddings"
ROWS = 500  # per request: one durable write each
TIMEOUT_S = 30.0


def publish_to_feast(store: httpx.Client, folder: Path, version: str) -> int:
    """Pushes every user vector of `folder/version`; returns how many.

    `store` has the store process as its base URL. Rows carry the end of the version's day as their time, so that the
    store keeps a newer day's whatever order they come in; the same version again changes nothing. Raises
    httpx.HTTPError when the store does not answer or refuses: all of it may be pushed again.
    """
    at = f"{(day_of(version) + timedelta(days=1)).isoformat()}T00:00:00Z"
    count = 0
    for frame in _frames(pq.ParquetFile(folder / version / "users.parquet"), version, at):
        answer = store.post("/push", json={"push_source_name": PUSH_SOURCE, "df": frame}, timeout=TIMEOUT_S)
        answer.raise_for_status()
        count += len(frame["user_key"])
    return count


def _frames(users: pq.ParquetFile, version: str, at: str) -> Iterator[dict[str, list[Any]]]:
    batch: pa.RecordBatch
    for batch in users.iter_batches(ROWS):
        columns: dict[str, list[Any]] = batch.to_pydict()
        yield columns | {"version": [version] * batch.num_rows, "event_timestamp": [at] * batch.num_rows}
