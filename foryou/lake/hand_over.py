"""A day of the lake, laid down for ClickHouse: the Parquet files of the tables' current versions, linked, not
copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from foryou.lake.delta_files import live_files
from foryou.lake.tables import Lake


def handed(lake: Lake) -> dict[str, Path]:
    """ClickHouse's table → the Delta table that it gets its days from."""
    return {
        "events": Path(lake.clean),
        "served": Path(lake.served),
        "trends": Path(lake.gold("trends")),
        "parity": Path(lake.gold("parity")),
    }


def hand_over(lake: Lake, day: date) -> list[str]:
    """Lays a day of every table down that has one; returns their names. What lay there before is replaced."""
    root, given = lake.root / "publish" / "clickhouse", []
    _link(_files(Path(lake.account), None), root / "accounts")  # of all days: who consents to analytics
    for name, table in handed(lake).items():
        if _link(_files(table, day), root / name / f"day={day.isoformat()}"):
            given.append(name)
    return given


def _link(files: Iterable[Path], folder: Path) -> bool:
    """The files under names of our own, in place of what the folder held; False when there are none."""
    shutil.rmtree(folder, ignore_errors=True)
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    for number, path in enumerate(files):
        draft.mkdir(parents=True, exist_ok=True)
        os.link(path, draft / f"part-{number:05}.parquet")
    if not draft.is_dir():
        return False
    draft.rename(folder)
    return True


def _files(table: Path, day: date | None) -> Iterator[Path]:
    if not (table / "_delta_log").is_dir():
        return
    for file in live_files(table):
        if day is None or file.partition.get("day") == day.isoformat():
            yield file.path
