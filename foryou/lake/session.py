"""Spark as every job of the night has it: local, Delta, Kafka and Avro from our own jars, UTC, quiet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

REPO = Path(__file__).resolve().parents[2]
JARS = REPO / "infra" / "local" / "lib" / "spark"
UNALIKE = ("value", "event_id", "impression_id", "request_id", "session_id")
OPTIONS = "spark.driver.extraJavaOptions"
SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    # Two cores: more partitions would only be more tasks.
    "spark.sql.shuffle.partitions": "8",
    "spark.default.parallelism": "4",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "67108864",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    # Spark 4.2 hashes every shuffled row to see whether a repeated task gave the same; in one process none is repeated.
    "spark.sql.shuffle.orderIndependentChecksum.enabled": "false",
    # A writer for each of so many days at once; else whole rows are sorted by day first.
    "spark.sql.maxConcurrentOutputFileWriters": "8",
    "spark.hadoop.parquet.compression.codec.zstd.level": "1",
    # An id comes once, or a few times: a dictionary of all of them would be built in vain. Nor does anyone ask how long
    # the values of a page are.
    **{f"spark.hadoop.parquet.enable.dictionary#{name}": "false" for name in UNALIKE},
    "spark.hadoop.parquet.size.statistics.enabled": "false",
    # Days are looked up, not values in files: least and most of every column of every file would be for nobody.
    "spark.databricks.delta.properties.defaults.dataSkippingNumIndexedCols": "0",
    # A model of many rounds (ALS) has a plan as deep; code that is not compiled yet takes more stack for it.
    OPTIONS: "-Xss4m -XX:+UseParallelGC -XX:+PerfDisableSharedMem",
}


def keeping(temporary_files: Path, options: str = SETTINGS[OPTIONS]) -> dict[str, str]:
    """The setting by which all that Spark spills, shuffles, unpacks and loads lies in that folder: its own
    `spark.local.dir` follows the JVM's. Other `options` of the JVM can be given."""
    return {OPTIONS: f'{options} "-Djava.io.tmpdir={temporary_files}"'}


def submit_settings(temporary_files: Path, memory: str = "4g", cores: int = 2) -> list[str]:
    """What goes between `spark-submit` and the job's file."""
    jars = ",".join(sorted(str(jar) for jar in JARS.glob("*.jar")))
    pairs = [f"{name}={value}" for name, value in {**SETTINGS, **keeping(temporary_files)}.items()]
    conf = [word for pair in pairs for word in ("--conf", pair)]
    return ["--master", f"local[{cores}]", "--driver-memory", memory, "--jars", jars, *conf]


def session(name: str, others: Mapping[str, str] | None = None) -> SparkSession:
    """The session of a job that `spark-submit` started, or one in this process (a test, a notebook), there with other
    settings than a night's."""
    builder = SparkSession.builder.appName(name)
    if "SPARK_ENV_LOADED" not in os.environ:  # not started by spark-submit
        builder = builder.master("local[2]").config(
            "spark.jars", ",".join(str(jar) for jar in sorted(JARS.glob("*.jar")))
        )
        builder = builder.config("spark.driver.memory", "2g")
        for key, value in {**SETTINGS, **(others or {})}.items():
            builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    return spark
