"""Admission and tiles: one Flink job, one checkpoint.

    flink run -d -py jobs/streaming/features.py --kafka 127.0.0.1:9092 --registry http://127.0.0.1:8081/apis/ccompat/v7

Records never meet Python: the meaning is in `foryou.features` (definitions and SQL), this file wires it to topics.

The program is translated in three parts, because two settings belong to a part and not to the job: the state that
admits events lives for a bounded time, profiles live for ever, and mini-batch would turn the insert-only admission into
updates.
"""

import argparse
import json
import sys
from itertools import groupby
from operator import attrgetter

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StatementSet, StreamTableEnvironment, Table, TableDescriptor
from pyflink.table.expressions import call_sql, col

from foryou.contract.lateness import LATENESS_BOUND_MS, STATE_TTL_MS
from foryou.contract.schemas import AvroSchema, schema
from foryou.contract.topics import TOPICS, Topic
from foryou.features import admission
from foryou.features.compilers import flink
from foryou.features.definitions import VIEWS
from foryou.features.spec import View

LANES = ("events.action.v1", "events.context.v1", "events.content.v1", "events.account.v1")
BLEND_SALTS = 4
# A record crosses five exchanges on its way to a tile; at Flink's default of 100 ms each, a quiet stream takes half a
# second.
BUFFER_TIMEOUT_MS = 10
LINGER_MS = "5"


def main(argv: list[str]) -> None:
    """Builds and submits the job."""
    args = _arguments(argv)
    environment = StreamExecutionEnvironment.get_execution_environment(_configuration(args.name, args.jars))
    environment.set_buffer_timeout(BUFFER_TIMEOUT_MS)
    tables = StreamTableEnvironment.create(environment)
    connect = _Topics(tables, args.kafka, args.registry)
    for name in LANES:
        connect.source(TOPICS[name])

    _state_lives(tables, args.state_ttl_ms)
    event = [f"`{name}`" for name, _ in flink.flink_columns(schema("event"))]
    _views(tables, "admit", {"lateness_ms": args.lateness_ms, "event": event})
    _cut(tables, "verdicts", "judged")

    _state_lives(tables, 0)
    judged = _columns(tables.from_path("judged"))
    _views(
        tables,
        "blend",
        {
            "verdict": [f"`{name}`" for name, _ in judged],
            "no_verdict": [f"CAST(NULL AS {kind}) AS `{name}`" for name, kind in judged],
            "salts": args.salts,
            "salts_from_h": [f"MOD(h + {salt}, {args.salts})" for salt in range(args.salts)],
        },
    )
    _cut(tables, "blended", "admitted")
    _views(tables, "contribute", {})

    lanes = tables.create_statement_set()
    admitted, judged_table = tables.from_path("admitted"), tables.from_path("judged")
    connect.append(lanes, TOPICS["events.clean.v1"], admitted)
    for verdict in ("duplicate", "late"):
        connect.append(lanes, TOPICS[f"events.{verdict}.v1"], judged_table.where(col("verdict") == verdict))
    switched = call_sql("CASE WHEN switches_on THEN 'on' ELSE 'off' END").alias("state")
    connect.append(lanes, TOPICS["relations.v1"], judged_table.where(col("is_newest")).add_columns(switched))
    lanes.attach_as_datastream()

    _state_lives(tables, args.state_ttl_ms)
    settings = tables.get_config()
    settings.set("table.exec.mini-batch.enabled", "true")
    settings.set("table.optimizer.agg-phase-strategy", "ONE_PHASE")  # two are against hot keys, and ours are salted
    settings.set("table.exec.mini-batch.size", "5000")
    for gather_ms, views in groupby(VIEWS.values(), key=attrgetter("gather_ms")):
        settings.set("table.exec.mini-batch.allow-latency", f"{gather_ms} ms")
        tiles = tables.create_statement_set()
        for view in views:
            connect.upsert(tiles, view, args.epoch)
        tiles.attach_as_datastream()
    environment.execute(args.name)


class _Topics:
    """Topics as tables: Avro values in the Confluent wire format, by our own schemas; raw UTF-8 keys."""

    def __init__(self, tables: StreamTableEnvironment, kafka: str, registry: str) -> None:
        self._tables, self._kafka, self._registry = tables, kafka, registry

    def source(self, topic: Topic) -> None:
        shape = _shape(schema(topic.schema))
        shape.column_by_metadata("source_partition", "INT", "partition", True)
        shape.column_by_metadata("source_offset", "BIGINT", "offset", True)
        descriptor = self._value(TableDescriptor.for_connector("kafka"), topic.name, schema(topic.schema))
        descriptor.option("scan.startup.mode", "earliest-offset").option("properties.group.id", "flink-features")
        self._tables.create_temporary_table(f"`{topic.name}`", descriptor.schema(shape.build()).build())

    def append(self, statements: StatementSet, topic: Topic, rows: Table) -> None:
        """Appends rows to a topic under the key that the contract gives it."""
        key = call_sql(f"CONCAT_WS('|', {', '.join(f'`{part}`' for part in topic.key)})").alias("_key")
        fields = [col(name) for name, _ in flink.flink_columns(schema(topic.schema))]
        descriptor = self._value(TableDescriptor.for_connector("kafka"), topic.name, schema(topic.schema))
        descriptor.option("key.format", "raw").option("key.fields", "_key").option("value.fields-include", "EXCEPT_KEY")
        shape = _shape(schema(topic.schema), key=True)
        self._tables.create_temporary_table(f"`to {topic.name}`", descriptor.schema(shape.build()).build())
        statements.add_insert(f"`to {topic.name}`", rows.select(key, *fields))

    def upsert(self, statements: StatementSet, view: View, epoch: int) -> None:
        """Upserts the tiles of a view."""
        self._tables.execute_sql(
            flink.tile_sink(view, self._kafka, self._registry, {"properties.linger.ms": LINGER_MS})
        )
        statements.add_insert(f"`{view.topic}`", self._tables.sql_query(flink.tile_select(view, epoch)))

    def _value(self, descriptor: TableDescriptor.Builder, topic: str, value: AvroSchema) -> TableDescriptor.Builder:
        return (
            descriptor.option("topic", topic)
            .option("properties.bootstrap.servers", self._kafka)
            .option("properties.linger.ms", LINGER_MS)
            .option("value.format", "avro-confluent")
            .option("value.avro-confluent.url", self._registry)
            .option("value.avro-confluent.subject", f"{topic}-value")
            .option("value.avro-confluent.schema", json.dumps(value))
        )


def _shape(value: AvroSchema, key: bool = False) -> Schema.Builder:
    builder = Schema.new_builder()
    if key:
        builder.column("_key", "STRING NOT NULL")
    for name, kind in flink.flink_columns(value):
        builder.column(name, kind)
    return builder


def _views(tables: StreamTableEnvironment, name: str, bound: admission.Bound) -> None:
    for view, query in admission.views(name, bound):
        tables.create_temporary_view(view, tables.sql_query(query))


def _cut(tables: StreamTableEnvironment, view: str, name: str) -> None:
    """Translates `view` under the settings of now and goes on from it as `name`.

    Bridged to RowData, records stay in Flink's binary rows; `to_data_stream` would copy each into objects and back.
    """
    table = tables.from_path(view)._j_table
    jvm = get_gateway().jvm
    loader = jvm.Thread.currentThread().getContextClassLoader()
    rows = jvm.java.lang.Class.forName("org.apache.flink.table.data.RowData", False, loader)
    stream = tables._j_tenv.toDataStream(table, table.getResolvedSchema().toPhysicalRowDataType().bridgedTo(rows))
    tables._j_tenv.createTemporaryView(name, stream)


def _columns(table: Table) -> list[tuple[str, str]]:
    columns = table._j_table.getResolvedSchema().getColumns()
    return [
        (column.getName(), column.getDataType().getLogicalType().copy(True).asSerializableString())
        for column in columns
    ]


def _state_lives(tables: StreamTableEnvironment, ttl_ms: int) -> None:
    tables.get_config().set("table.exec.state.ttl", f"{ttl_ms} ms")


def _configuration(name: str, jars: str | None) -> Configuration:
    configuration = Configuration()
    configuration.set_string("pipeline.name", name)
    configuration.set_string("pipeline.object-reuse", "true")
    # Operator ids follow the order of translation, not the shape around them, so that a view added last leaves the
    # others' state alone.
    configuration.set_string("table.exec.uid.generation", "ALWAYS")
    if jars is not None:
        configuration.set_string("pipeline.jars", jars)
    return configuration


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Admission and tiles, from the collector's topics to the features' topics."
    )
    parser.add_argument("--kafka", required=True, help="bootstrap servers")
    parser.add_argument("--registry", required=True, help="the registry's Confluent API")
    parser.add_argument("--epoch", type=int, default=1, help="grows whenever the job starts without its state")
    parser.add_argument("--name", default="features", help="the job's name in Flink")
    parser.add_argument("--lateness-ms", type=int, default=LATENESS_BOUND_MS, help="later events go to events.late")
    parser.add_argument("--state-ttl-ms", type=int, default=STATE_TTL_MS, help="of dedup, relations and tiles")
    parser.add_argument("--salts", type=int, default=BLEND_SALTS, help="ways a hot video's profile is split")
    parser.add_argument(
        "--jars", help="connector jars as file URLs, joined by ';': to run it by python, without a cluster"
    )
    args = parser.parse_args(argv)
    if args.state_ttl_ms <= args.lateness_ms:
        parser.error("--state-ttl-ms must be longer than --lateness-ms plus the longest stop of the job")
    return args


if __name__ == "__main__":
    main(sys.argv[1:])
