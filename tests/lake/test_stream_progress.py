"""What a stream has not read yet of a Delta table, by its checkpoint."""

import json
import shutil

import pytest

from foryou.lake.delta_files import DeltaUnreadable
from foryou.lake.stream_progress import unread

from .delta_tables import add, commit, protocol


@pytest.fixture
def table(tmp_path):
    table = tmp_path / "table"
    commit(table, 0, protocol(), add(table, "a.parquet", [{"x": 1}], "2026-11-20"))
    commit(table, 1, add(table, "b.parquet", [{"x": 2}], "2026-11-21"))
    packed = add(table, "packed.parquet", [{"x": 1}], "2026-11-20")
    packed["add"]["dataChange"] = False
    commit(table, 2, {"remove": {"path": "a.parquet"}}, packed)
    return table


def came_to(tmp_path, version, number=0, committed=True, starting=False):
    """A checkpoint whose batch `number` ended there."""
    folder = tmp_path / "checkpoint"
    for name in ("offsets", "commits"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    offset = {"sourceVersion": 1, "reservoirVersion": version, "index": -1, "isStartingVersion": starting}
    (folder / "offsets" / str(number)).write_text(f"v1\n{{}}\n{json.dumps(offset)}")
    if committed:
        (folder / "commits" / str(number)).write_text("v1\n{}")
    return folder


def names(files):
    return [file.path.name for file in files]


@pytest.mark.parametrize(("version", "left"), [(0, ["a.parquet", "b.parquet"]), (1, ["b.parquet"]), (2, []), (3, [])])
def test_what_later_commits_brought_is_unread(table, tmp_path, version, left):
    assert names(unread(table, came_to(tmp_path, version))) == left


def test_the_newest_finished_batch_counts(table, tmp_path):
    for number in range(9, 12):
        came_to(tmp_path, number - 9, number)
    assert names(unread(table, came_to(tmp_path, 3, 12, committed=False))) == []
    assert names(unread(table, came_to(tmp_path, 1, 11))) == ["b.parquet"]


def test_nobody_knows(table, tmp_path):
    assert unread(table, tmp_path / "none") is None
    assert unread(table, came_to(tmp_path, 0, starting=True)) is None
    came_to(tmp_path, 0)
    (table / "_delta_log" / f"{0:020}.json").unlink()
    assert unread(table, tmp_path / "checkpoint") is None
    shutil.rmtree(table)
    with pytest.raises(DeltaUnreadable, match="has no log"):
        unread(table, tmp_path / "checkpoint")
