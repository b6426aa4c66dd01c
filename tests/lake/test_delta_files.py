"""A Delta table's newest version from its log, without Spark; what cannot be read right is refused."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foryou.lake.delta_files import DeltaUnreadable, live_files, read

from .delta_tables import add, commit, protocol


def values(table, **more):
    return sorted(read(table, **more)["x"].to_pylist())


def test_what_was_removed_is_gone_and_what_was_added_is_there(tmp_path):
    one = add(tmp_path, "a b.parquet", [{"x": 1}], "2026-11-20")
    one["add"]["path"] = one["add"]["path"].replace(" ", "%20")
    commit(tmp_path, 0, protocol(), one)
    commit(tmp_path, 1, add(tmp_path, "b.parquet", [{"x": 2}], "2026-11-21"))
    assert values(tmp_path) == [1, 2]
    commit(tmp_path, 2, {"remove": {"path": one["add"]["path"]}}, add(tmp_path, "c.parquet", [{"x": 3}], "2026-11-20"))
    assert values(tmp_path) == [2, 3]
    assert values(tmp_path, days=("2026-11-20", "2026-11-20")) == [3]
    assert [file.partition for file in live_files(tmp_path)] == [{"day": "2026-11-20"}, {"day": "2026-11-21"}]


@pytest.mark.parametrize("parts", [None, 2])
def test_a_checkpoint_stands_for_the_commits_before_it(tmp_path, parts):
    actions = [protocol(), add(tmp_path, "a.parquet", [{"x": 1}], "2026-11-20")]
    actions += [add(tmp_path, "b.parquet", [{"x": 2}], "2026-11-20")]
    kinds = pa.struct([("path", pa.string()), ("partitionValues", pa.map_(pa.string(), pa.string()))])
    rows = [{"add": {k: each["add"][k] for k in ("path", "partitionValues")}} for each in actions[1:]]
    log = tmp_path / "_delta_log"
    log.mkdir()
    halves = [rows] if parts is None else [rows[:1], rows[1:]]
    for number, half in enumerate(halves, 1):
        name = "00000000000000000003.checkpoint" + (f".{number:010}.{parts:010}" if parts else "")
        pq.write_table(pa.Table.from_pylist(half, pa.schema([("add", kinds)])), log / f"{name}.parquet")
    (log / "_last_checkpoint").write_text(json.dumps({"version": 3} | ({"parts": parts} if parts else {})))
    commit(tmp_path, 4, {"remove": {"path": "day=2026-11-20/a.parquet"}})
    assert values(tmp_path) == [2]


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        ([{"protocol": {"minReaderVersion": 3, "readerFeatures": ["variantType"]}}], "variantType"),
        ([{"metaData": {"configuration": {"delta.columnMapping.mode": "name"}}}], "maps its columns"),
        ([{"add": {"path": "x", "deletionVector": {"storageType": "u"}}}], "deletion vectors"),
    ],
)
def test_what_it_would_read_wrong_it_refuses(tmp_path, actions, says):
    commit(tmp_path, 0, *actions)
    with pytest.raises(DeltaUnreadable, match=says):
        read(tmp_path)


def test_no_table_a_hole_in_the_log_and_an_unknown_checkpoint_are_errors(tmp_path):
    with pytest.raises(DeltaUnreadable, match="no Delta table"):
        read(tmp_path / "none")
    commit(tmp_path, 0, protocol())
    commit(tmp_path, 2, protocol())
    with pytest.raises(DeltaUnreadable, match="hole"):
        read(tmp_path)
    (tmp_path / "_delta_log" / "_last_checkpoint").write_text('{"version": 2}')
    with pytest.raises(DeltaUnreadable, match="checkpoint"):
        read(tmp_path)
