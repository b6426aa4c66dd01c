"""Flink SQL: the dialect, the types, the tile queries and their sinks. Runs in the streaming environment, too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlglot import Dialect, exp, generator, tokens

from foryou.contract.schemas import AvroSchema
from foryou.features.compilers.avro import tile_schema
from foryou.features.compilers.sql import Engine, Part, tile_query, to_sql
from foryou.features.spec import View


class Flink(Dialect):  # type: ignore[misc]  # sqlglot is untyped to us
    """What sqlglot has to know of Flink SQL to write our queries."""

    class Tokenizer(tokens.Tokenizer):  # type: ignore[misc]
        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`"]

    class Generator(generator.Generator):  # type: ignore[misc]
        TYPE_MAPPING: ClassVar[dict[Any, str]] = {
            **generator.Generator.TYPE_MAPPING,
            exp.DataType.Type.TEXT: "STRING",
            exp.DataType.Type.VARCHAR: "STRING",
        }
        TRANSFORMS: ClassVar[dict[Any, Any]] = {
            **generator.Generator.TRANSFORMS,
            exp.Mod: lambda self, e: self.func("MOD", e.this, e.expression),
            exp.Property: lambda self, e: f"{self.sql(e, 'this')} = {self.sql(e, 'value')}",
        }


def flink_columns(schema: AvroSchema) -> list[tuple[str, str]]:
    """(column, Flink SQL type) of an Avro record, in its order."""
    return [(field["name"], flink_type(field["type"])) for field in schema["fields"]]


_PRIMITIVES = {
    "string": "STRING",
    "long": "BIGINT",
    "int": "INT",
    "double": "DOUBLE",
    "float": "FLOAT",
    "boolean": "BOOLEAN",
    "bytes": "BYTES",
}


def flink_type(avro: Any) -> str:
    """The Flink SQL type that reads and writes an Avro type. Raises ValueError where Flink has none."""
    match avro:
        case ["null", inner] | [inner, "null"]:
            return flink_type(inner).removesuffix(" NOT NULL")
        case list():
            raise ValueError(f"Flink reads unions of null and one type only, not {avro}")
        case {"type": "array", "items": items}:
            return f"ARRAY<{flink_type(items)}> NOT NULL"
        case {"type": "map", "values": values}:
            return f"MAP<STRING NOT NULL, {flink_type(values)}> NOT NULL"
        case {"type": "record", "fields": fields}:
            inside = ", ".join(f"`{field['name']}` {flink_type(field['type'])}" for field in fields)
            return f"ROW<{inside}> NOT NULL"
        case {"type": inner}:
            return flink_type(inner)
        case str() if avro in _PRIMITIVES:
            return f"{_PRIMITIVES[avro]} NOT NULL"
    raise ValueError(f"no Flink type for Avro {avro!r}")


def _salt(text: Part, salts: int) -> Part:
    hashed = exp.func("HASH_CODE", text)
    return exp.func("ABS", exp.Mod(this=hashed, expression=exp.Literal.number(salts)))


def _veiled(constant: Part) -> Part:
    """The constant, plus a nought that the planner cannot see through.

    Flink drops constants from a GROUP BY; then its key is no longer the sink's, and every update goes out as a
    tombstone followed by the new value. For the same reason a salt is hashed even where there is only one.
    """
    return exp.Add(this=constant, expression=_salt(exp.column("event_id"), 1))


def _collect(condition: Part, values: list[Part], record: AvroSchema) -> Part:
    row = exp.cast(exp.func("ROW", *values), _type(flink_type(record).removesuffix(" NOT NULL")))
    return exp.IgnoreNulls(this=exp.ArrayAgg(this=exp.Case().when(condition, row)))


def _type(flink: str) -> exp.DataType:
    return exp.DataType(this=exp.DataType.Type.USERDEFINED, kind=flink)


FLINK = Engine(dialect=Flink, salt=_salt, veiled=_veiled, collect=_collect)


def tile_select(view: View, epoch: int) -> str:
    """The query that yields the view's tiles from `contributions`, under a job epoch."""
    return to_sql(tile_query(view, FLINK, epoch), FLINK)


def tile_sink(view: View, kafka: str, registry: str, options: Mapping[str, str] | None = None) -> str:
    """CREATE TABLE of the view's topic, named like the topic: keyed upserts under the text app|entity|…|tile_start.

    `kafka` is host:port, `registry` the URL before /subjects; `options` are further options of the connector.
    """
    schema = tile_schema(view)
    with_options = {
        "connector": "upsert-kafka",
        "topic": view.topic,
        "properties.bootstrap.servers": kafka,
        # Raw text, so that every language finds the key: no quotes, and no part of a key may hold the delimiter (the
        # door sees to it).
        "key.format": "csv",
        "key.csv.field-delimiter": "|",
        "key.csv.disable-quote-character": "true",
        "value.format": "avro-confluent",
        "value.avro-confluent.url": registry,
        "value.avro-confluent.subject": f"{view.topic}-value",
        "value.avro-confluent.schema": json.dumps(schema, ensure_ascii=False),
        "value.fields-include": "ALL",
        # At least once: the reader keeps the larger (epoch, n), and exactly-once would publish at checkpoints only.
        "sink.delivery-guarantee": "at-least-once",
        **(options or {}),
    }
    return to_sql(create_table(view.topic, flink_columns(schema), view.key_columns, with_options), FLINK)


def create_table(
    name: str, columns: list[tuple[str, str]], key: Sequence[str], options: Mapping[str, str]
) -> exp.Create:
    """CREATE TABLE for any connector; an empty key means no primary key."""
    defined: list[Part] = [exp.ColumnDef(this=exp.to_identifier(column), kind=_type(kind)) for column, kind in columns]
    if key:
        defined.append(exp.PrimaryKey(expressions=[exp.column(column) for column in key], options=["NOT ENFORCED"]))
    table = exp.Table(this=exp.to_identifier(name, quoted=True))
    settings = [exp.Property(this=exp.Literal.string(k), value=exp.Literal.string(v)) for k, v in options.items()]
    return exp.Create(
        this=exp.Schema(this=table, expressions=defined), kind="TABLE", properties=exp.Properties(expressions=settings)
    )
