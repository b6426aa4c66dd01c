"""The training set: what was served, with the values it was scored on, and what came of it (sql/training.sql).

Features that the ranker did not log yet are added as of the moment of serving, from gold's tiles.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sqlglot import exp, parse_one

from foryou.features.admission import read_views
from foryou.features.definitions import VIEWS
from foryou.features.definitions.signals import FINISHED, SKIPPED
from foryou.features.operations import DAY
from foryou.features.spec import View
from foryou.lake.past_features import features_at
from foryou.lake.sql import FOLDER
from foryou.lake.tables import Lake

LABEL_WINDOW_MS = DAY  # what comes later is no outcome of this serving; it also is how long a row may still change
NOT_LOGGED = ("user_history_v1", "video_history_v1")
_ARROW = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "list_string": pa.list_(pa.string()),
    "list_float64": pa.list_(pa.float64()),
}


def with_the_day_before(wanted: Iterable[date]) -> list[date]:
    """The days whose rows an event of the wanted days may change: their own, and those whose window reaches in."""
    return sorted({day - timedelta(days=back) for day in wanted for back in (0, 1)})


def labelled(spark: SparkSession, lake: Lake, wanted: Sequence[date]) -> DataFrame:
    """Rows of the wanted days of serving, an item each: as served, `outcome` and the labels. No features added."""
    near = sorted({day + timedelta(days=by) for day in wanted for by in (-1, 0, 1)})
    read = spark.read.format("delta").load
    return labels_of(
        read(lake.served).where(F.col("day").isin(*wanted)), read(lake.clean).where(F.col("day").isin(*near))
    )


def labels_of(served: DataFrame, clean: DataFrame, window_ms: int = LABEL_WINDOW_MS) -> DataFrame:
    """`labelled` of frames in silver's columns."""
    spark = served.sparkSession
    served.createOrReplaceTempView("served")
    clean.createOrReplaceTempView("clean")
    parameters: dict[str, int | list[str]] = {
        "window": window_ms,
        "finished": [_qualified(FINISHED)],
        "skipped": [_qualified(SKIPPED)],
    }
    for name, query in read_views(FOLDER / "training.sql", parameters):
        spark.sql(query).createOrReplaceTempView(name)
    return spark.table("training")


def with_past(rows: DataFrame, lake: Lake, views: Collection[str] = NOT_LOGGED) -> DataFrame:
    """The rows with every feature of the views as of served_at, in columns `<view>__<feature>`.

    Computed in this process, once per (entity, moment). Raises DeltaUnreadable when a view has no tiles.
    """
    for name in views:
        view = VIEWS[name]
        keys = ["app_id", view.entity, "served_at"]
        asked = [(row[0], row[1], row[2]) for row in rows.select(*keys).distinct().orderBy(*keys).collect()]
        found = rows.sparkSession.createDataFrame(_table(lake, view, asked))
        rows = rows.join(found, keys, "left")
    return rows


def _table(lake: Lake, view: View, asked: Sequence[tuple[str, str, int]]) -> pa.Table:
    values = features_at(lake, view, asked)
    columns: dict[str, pa.Array] = {
        "app_id": pa.array([each[0] for each in asked], pa.string()),
        view.entity: pa.array([each[1] for each in asked], pa.string()),
        "served_at": pa.array([each[2] for each in asked], pa.int64()),
    }
    for feature in view.features:
        listed = [values[each][feature.name] for each in asked]
        columns[f"{view.full_name}__{feature.name}"] = pa.array(listed, _ARROW[feature.dtype])
    return pa.table(columns)


def _qualified(condition: str) -> str:
    """A condition of the definitions, whose columns are clean's, where `shown` has columns of the same names, too."""
    tree = parse_one(condition, dialect="spark")
    for column in tree.find_all(exp.Column):
        column.set("table", exp.to_identifier("c"))
    return f"({tree.sql(dialect='spark')})"
