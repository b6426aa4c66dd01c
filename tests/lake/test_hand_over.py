"""What the lake lays down for ClickHouse."""

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from foryou.lake.hand_over import hand_over
from foryou.lake.tables import Lake

from .delta_tables import add, commit, protocol

DAY, BEFORE = "2026-11-20", "2026-11-19"


def laid(lake, name):
    folder = lake.root / "publish" / "clickhouse" / name
    return sorted(x for path in folder.glob("*.parquet") for x in pq.ParquetFile(path).read()["x"].to_pylist())


def test_a_day_of_every_table_and_the_accounts_of_all_days(tmp_path):
    lake = Lake(tmp_path)
    clean, account = Path(lake.clean), Path(lake.account)
    commit(clean, 0, protocol(), add(clean, "a.parquet", [{"x": 1}], DAY), add(clean, "b.parquet", [{"x": 2}], BEFORE))
    commit(account, 0, protocol(), add(account, "a.parquet", [{"x": 3}], DAY))
    commit(account, 1, add(account, "b.parquet", [{"x": 4}], BEFORE))
    for _ in range(2):
        assert hand_over(lake, date(2026, 11, 20)) == ["events"]
        assert (laid(lake, f"events/day={DAY}"), laid(lake, "accounts")) == ([1], [3, 4])


def test_without_a_day_there_is_nothing_to_replace(tmp_path):
    assert hand_over(Lake(tmp_path), date(2026, 11, 20)) == []
    assert not list((tmp_path).rglob("day=*"))
