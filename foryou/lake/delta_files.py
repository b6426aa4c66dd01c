"""The files of a Delta table's newest version, without Spark: the log replayed, the Parquet files read by pyarrow.

For readers beside the night (Feast's offline store). What it knows: commits as JSON, classic checkpoints (in one or
many parts), partition values. What it refuses, rather than read it wrong: deletion vectors, column mapping, V2
checkpoints, reader features that it has never heard of. It never writes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

READABLE = {"timestampNtz", "appendOnly", "invariants", "deletionVectors"}  # the last only while no file has one


class DeltaUnreadable(Exception):
    """A table that is not there, or one that takes more than this reader to be read right."""


@dataclass(frozen=True)
class DeltaFile:
    """A live file of a table and its partition values, as text."""

    path: Path
    partition: dict[str, str | None]


def live_files(table: Path) -> list[DeltaFile]:
    """The files of the newest version, by path. Raises DeltaUnreadable."""
    commits = _commits(table)
    version, actions = _checkpoint(table / "_delta_log")
    later = sorted(number for number in commits if number > version)
    if not later and version < 0:
        raise DeltaUnreadable(f"{table} is no Delta table: it has no log")
    if later and later != list(range(version + 1, later[-1] + 1)):
        raise DeltaUnreadable(f"{table}: the log has a hole after version {version}")
    live: dict[str, dict[str, Any]] = {}
    for action in _chain(actions, (line for number in later for line in _lines(commits[number]))):
        _check(table, action)
        if action.get("remove"):
            live.pop(action["remove"]["path"], None)
        elif action.get("add"):
            live[action["add"]["path"]] = action["add"]
    return [_file(table, add) for _, add in sorted(live.items())]


def added_since(table: Path, version: int) -> list[DeltaFile] | None:
    """The files that the commits from `version` on brought new rows in; None where the log no longer has them all.
    Raises DeltaUnreadable for what is no table."""
    commits = _commits(table)
    if not commits:
        raise DeltaUnreadable(f"{table} is no Delta table: it has no log")
    later = sorted(number for number in commits if number >= version)
    if later and later != list(range(version, later[-1] + 1)):
        return None
    added = [line["add"] for number in later for line in _lines(commits[number]) if line.get("add")]
    return [_file(table, add) for add in added if add.get("dataChange", True)]


def read(
    table: Path,
    columns: Collection[str] | None = None,
    days: tuple[str, str] | None = None,
    where: pc.Expression | None = None,
) -> pa.Table:
    """Rows of the table's newest version, partition columns left out. `days`: first and last value of the partition
    column `day`, ISO dates. Raises DeltaUnreadable; a table whose days are all outside gives no rows and no columns."""
    parts = []
    for file in live_files(table):
        day = file.partition.get("day")
        if days is not None and day is not None and not days[0] <= day <= days[1]:
            continue
        parts.append(pq.read_table(file.path, columns=list(columns) if columns else None, filters=where))
    return pa.concat_tables(parts, promote_options="default") if parts else pa.table({})


def _commits(table: Path) -> dict[int, Path]:
    return {int(path.stem): path for path in (table / "_delta_log").glob("*.json") if path.stem.isdigit()}


def _file(table: Path, add: dict[str, Any]) -> DeltaFile:
    return DeltaFile(table / unquote(add["path"]), dict(add.get("partitionValues") or {}))


def _checkpoint(log: Path) -> tuple[int, list[dict[str, Any]]]:
    try:
        last = json.loads((log / "_last_checkpoint").read_text("utf-8"))
    except FileNotFoundError:
        return -1, []
    version, parts = int(last["version"]), last.get("parts")
    names = [f"{version:020}.checkpoint.parquet"]
    if parts:
        names = [f"{version:020}.checkpoint.{part:010}.{parts:010}.parquet" for part in range(1, parts + 1)]
    if not all((log / name).is_file() for name in names):
        raise DeltaUnreadable(f"{log.parent}: the checkpoint of version {version} is none that this reader knows")
    return version, [_plain(row) for name in names for row in pq.read_table(log / name).to_pylist()]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's row as a commit says it: Parquet maps come as lists of pairs."""
    add = row.get("add")
    if add is not None and isinstance(add.get("partitionValues"), list):
        row["add"] = add | {"partitionValues": dict(add["partitionValues"])}
    meta = row.get("metaData")
    if meta is not None and isinstance(meta.get("configuration"), list):
        row["metaData"] = meta | {"configuration": dict(meta["configuration"])}
    return row


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _chain(*parts: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for part in parts:
        yield from part


def _check(table: Path, action: dict[str, Any]) -> None:
    protocol, meta, add = action.get("protocol"), action.get("metaData"), action.get("add")
    unknown = set((protocol or {}).get("readerFeatures") or ()) - READABLE
    if unknown:
        raise DeltaUnreadable(f"{table} needs {', '.join(sorted(unknown))}, which this reader does not know")
    if meta and (meta.get("configuration") or {}).get("delta.columnMapping.mode", "none") != "none":
        raise DeltaUnreadable(f"{table} maps its columns' names, which this reader does not know")
    if add and add.get("deletionVector"):
        raise DeltaUnreadable(f"{table} has deletion vectors: read it with Spark")
