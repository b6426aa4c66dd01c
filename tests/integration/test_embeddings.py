"""Vectors by Spark: learnt from planted likings, the same twice, published as one version."""

import json
from dataclasses import replace
from datetime import date

import pyarrow.parquet as pq
import pytest

from bench.history import lived
from foryou.lake.embedding_night import learn, measured, models, publish_day
from foryou.lake.embedding_rules import EmbeddingRules
from foryou.lake.embeddings import Window, strengths
from foryou.lake.tables import Lake
from foryou.lake.vector_version import current

DAY = date(2026, 11, 20)
RULES = EmbeddingRules.load()
QUICK = replace(RULES, als=replace(RULES.als, iterations=2))  # where nobody asks how good the vectors are


@pytest.fixture(scope="module")
def past(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("past")
    pq.write_table(lived(1, DAY, people=100, videos=8_000).clean, folder / "clean.parquet")
    return spark.read.parquet(str(folder))


@pytest.fixture(scope="module")
def learnt(spark, past):
    return learn(spark, past, DAY, QUICK)


def test_vectors_find_what_people_went_on_to_like_better_than_popularity_and_chance(spark, past):
    found = learn(spark, past, DAY, RULES).metrics
    assert found["people"] > 90
    for figure in ("recall", "ndcg"):
        assert found["als"][figure] > 1.2 * found["popular"][figure] > 2 * found["random"][figure]


def test_the_same_rows_in_another_order_and_cut_are_the_same_version(spark, past, learnt):
    shuffled = past.orderBy("event_id").repartition(7)
    again = learn(spark, shuffled, DAY, QUICK)
    assert again.tables.version == learnt.tables.version
    assert (again.metrics, again.inputs) == (learnt.metrics, learnt.inputs)


def test_flagged_rows_and_other_days_teach_nothing(spark, past, learnt):
    rows = past.where("day = DATE'2026-11-20'")
    bots = rows.selectExpr("* EXCEPT (user_key, flagged)", "concat('bot', user_key) AS user_key", "true AS flagged")
    tomorrow = rows.selectExpr("* EXCEPT (day)", "DATE'2026-11-21' AS day")
    more = past.unionByName(bots).unionByName(tomorrow)
    assert learn(spark, more, DAY, QUICK).tables.version == learnt.tables.version


def test_a_version_is_in_delta_and_on_disk_alike(spark, learnt, tmp_path):
    lake = Lake(tmp_path / "lake")
    version = publish_day(spark, lake, learnt)
    assert publish_day(spark, lake, learnt) == version == current(models(lake))
    meta = json.loads((models(lake) / version / "meta.json").read_text("utf-8"))
    for name, count in meta["rows"].items():
        on_disk = pq.read_table(models(lake) / version / f"{name}.parquet").to_pylist()
        in_delta = spark.read.format("delta").load(lake.gold(f"embeddings_{name}")).toArrow().to_pylist()
        assert {(row.pop("version"), row.pop("day")) for row in in_delta} == {(version, DAY)}
        assert len(on_disk) == count > 0
        assert sorted(in_delta, key=lambda row: list(row.values())[:2]) == on_disk


def test_without_any_liking_there_is_no_version(spark, past):
    assert learn(spark, past.where("false"), DAY, RULES) is None
    nothing = strengths(past.where("false"), Window.of(DAY, RULES), RULES)
    assert measured(spark, nothing, RULES) == {"k": RULES.k, "people": 0}
