"""The night's vectors of one day: learnt, measured on the days held out, published as one version, copied to Delta."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from foryou.lake.embedding_evaluation import hold_out
from foryou.lake.embedding_rules import EmbeddingRules
from foryou.lake.embeddings import Window, by_als, creators_of, liked, strengths
from foryou.lake.partitions import replace_day
from foryou.lake.recommendation_metrics import quality
from foryou.lake.tables import Lake
from foryou.lake.vector_version import KEYS, VectorTables, publish, vector_table


@dataclass(frozen=True)
class Learnt:
    """A version that is not published yet, its figures on held-out data, and what it was learnt from."""

    tables: VectorTables
    metrics: dict[str, Any]
    inputs: dict[str, Any]


def models(lake: Lake) -> Path:
    """The folder of versions; its format is told in foryou.lake.vector_version."""
    return lake.root / "models" / "embeddings"


def learn(spark: SparkSession, clean: DataFrame, day: date, rules: EmbeddingRules) -> Learnt | None:
    """Vectors of `day`, a pure function of the rows; None when nobody liked anything twice."""
    window = Window.of(day, rules)
    found = strengths(clean, window, rules)
    liking = liked(found, rules)
    if not liking.pairs.num_rows:
        return None
    vectors = by_als(liking, rules, spark.createDataFrame(liking.pairs))
    creators, creator_vectors = creators_of(liking, vectors.videos)
    tables = VectorTables(
        day,
        rules.dims,
        videos=vector_table(liking.videos, "video_id", vectors.videos),
        users=vector_table(liking.users, "user_key", vectors.users),
        creators=vector_table(creators, "creator_key", creator_vectors),
    )
    inputs = {"first": window.first.isoformat(), "last": day.isoformat(), "likings": liking.pairs.num_rows}
    return Learnt(tables, measured(spark, found, rules), inputs | {"model": "als", "rules": asdict(rules)})


def measured(spark: SparkSession, found: pa.Table, rules: EmbeddingRules) -> dict[str, Any]:
    """recall@k and NDCG@k of vectors learnt without the last days, and of popularity, on those days."""
    held = hold_out(found, rules)
    if not held.then:
        return {"k": rules.k, "people": 0}
    scores = {"popular": held.popular(), "random": held.at_random(rules.seed)}
    scores["als"] = held.of(by_als(held.liking, rules, spark.createDataFrame(held.liking.pairs)))
    figures: dict[str, Any] = {"k": rules.k, "people": len(held.then)}
    for name, score in scores.items():
        each = quality(score, held.before, held.then, rules.k)
        figures[name] = {"recall": each.recall, "ndcg": each.ndcg}
    return figures


def publish_day(spark: SparkSession, lake: Lake, learnt: Learnt) -> str:
    """Delta copies first, then the version and its name: who sees the name sees all of it. Returns the version."""
    version = learnt.tables.version
    for name, table in learnt.tables.named().items():
        rows = spark.createDataFrame(table).select("app_id", KEYS[name], f.lit(version).alias("version"), "vector")
        day = learnt.tables.day
        replace_day(rows.withColumn("day", f.lit(day)), lake.gold(f"embeddings_{name}"), day)
    return publish(models(lake), learnt.tables, learnt.metrics, learnt.inputs)
