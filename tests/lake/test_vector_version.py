"""A version is there whole or not at all, and CURRENT names one that is."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foryou.lake.vector_version import VectorTables, current, day_of, publish, vector_table, versions

DAY = date(2026, 11, 20)
METRICS = {"k": 50, "als": {"recall": 0.13}}


def tables(day=DAY, first=0.5, videos=3):
    def table(key, count):
        keys = pa.table({"app_id": ["demo"] * count, key: [f"{key}{number}" for number in range(count)]})
        return vector_table(keys, key, np.full((count, 2), first, np.float32))

    return VectorTables(day, 2, table("video_id", videos), table("user_key", 2), table("creator_key", 1))


def test_what_is_published_reads_back(tmp_path):
    version = publish(tmp_path, tables(), METRICS, {"likings": 6})
    assert current(tmp_path) == version
    assert day_of(version) == DAY
    assert json.loads((tmp_path / version / "meta.json").read_text("utf-8")) == {
        "version": version,
        "day": "2026-11-20",
        "dims": 2,
        "rows": {"videos": 3, "users": 2, "creators": 1},
        "metrics": METRICS,
        "inputs": {"likings": 6},
    }
    videos = pq.read_table(tmp_path / version / "videos.parquet")
    assert videos.to_pylist()[0] == {"app_id": "demo", "video_id": "video_id0", "vector": [0.5, 0.5]}
    assert videos.schema.field("vector").type == pa.list_(pa.float32())


def test_the_same_vectors_are_the_same_version_and_others_are_not():
    assert tables().version == tables().version
    assert len({tables().version, tables(first=0.25).version, tables(videos=2).version}) == 3


def test_written_twice_it_is_one_version_and_not_touched(tmp_path):
    version = publish(tmp_path, tables(), {}, {})
    before = (tmp_path / version / "videos.parquet").stat().st_ino
    assert publish(tmp_path, tables(), {}, {}) == version
    assert (tmp_path / version / "videos.parquet").stat().st_ino == before
    assert versions(tmp_path) == [version]


def test_a_version_that_lost_a_file_is_made_whole(tmp_path):
    version = publish(tmp_path, tables(), {}, {})
    (tmp_path / version / "users.parquet").unlink()
    assert publish(tmp_path, tables(), {}, {}) == version
    assert (tmp_path / version / "users.parquet").exists()


def test_three_versions_are_kept_and_the_current_one_is_among_them(tmp_path):
    names = [publish(tmp_path, tables(DAY + timedelta(days=number)), {}, {}) for number in range(5)]
    assert versions(tmp_path) == names[2:]


def test_an_old_day_made_again_is_a_version_and_not_the_current_one(tmp_path):
    names = [publish(tmp_path, tables(DAY + timedelta(days=number)), {}, {}) for number in range(5)]
    past = publish(tmp_path, tables(DAY - timedelta(days=30)), {}, {})
    assert (current(tmp_path), versions(tmp_path)) == (names[-1], [past, *names[3:]])
    again = publish(tmp_path, tables(DAY + timedelta(days=4), first=0.25), {}, {})
    assert current(tmp_path) == again != names[-1]


@pytest.mark.parametrize("killed_at", range(12))
def test_killed_anywhere_the_current_version_is_whole(tmp_path, monkeypatch, killed_at):
    before = publish(tmp_path, tables(), {}, {})
    after = tables(DAY + timedelta(days=1))
    steps = [0]

    class Killed(BaseException):
        pass

    def dies(real):
        def step(*args, **more):
            steps[0] += 1
            if steps[0] > killed_at:
                raise Killed
            return real(*args, **more)

        return step

    with monkeypatch.context() as patch:
        patch.setattr("foryou.lake.vector_version.pq.write_table", dies(pq.write_table))
        patch.setattr("foryou.lake.vector_version._sync", dies(lambda path: None))
        for name in ("rename", "replace"):
            patch.setattr(Path, name, dies(getattr(Path, name)))
        with pytest.raises(Killed):
            publish(tmp_path, after, {}, {})
    named = current(tmp_path)
    assert named in (before, after.version)
    assert {path.name for path in (tmp_path / named).iterdir()} == {
        "videos.parquet", "users.parquet", "creators.parquet", "meta.json",
    }  # fmt: skip
    assert publish(tmp_path, after, {}, {}) == after.version == current(tmp_path)
    assert [path.name for path in tmp_path.glob(".draft*")] == []
