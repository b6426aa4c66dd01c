"""A day of the lake, laid down for ClickHouse: the Parquet files of the tables' current versions, linked, not
copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
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
    given = []
    for name, table in handed(lake).items():
        folder = lake.root / "publish" / "clickhouse" / name / f"day={day.isoformat()}"
        shutil.rmtree(folder, ignore_errors=True)
        files = list(_files(table, day))
        if not files:
            continue
        draft = folder.with_name(f".{folder.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for number, path in enumerate(files):
            os.link(path, draft / f"part-{number:05}.parquet")
        draft.rename(folder)
        given.append(name)
    return given


def _files(table: Path, day: date) -> Iterator[Path]:
    if not (table / "_delta_log").is_dir():
        return
    for file in live_files(table):
        if file.partition.get("day") == day.isoformat():
            yield file.path
