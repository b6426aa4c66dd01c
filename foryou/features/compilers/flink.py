"""Flink SQL: the dialect, the types, the tile queries and their sinks. Runs in the streaming environment: sqlglot and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlglot import Dialect, exp, generator, tokens

from foryou.contract.schemas import AvroSchema
from foryou.features.compilers.avro import tile_schema
from foryou.features.compilers.sql import Engine, Part, tile_query, to_sql
from foryou.features.spec import View


class Flink(Dialect):
    """What sqlglot has to know of Flink SQL to write our queries."""

    class Tokenizer(tokens.Tokenizer):
        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`"]

    class Generator(generator.Generator):
        TYPE_MAPPING: ClassVar[dict[Any, str]] = {
            **generator.Generator.TYPE_MAPPING,
            exp.DataType.Type.TEXT: "STRING",
            exp.DataType.Type.VARCHAR: "STRING",
        }
        TRANSFORMS: ClassVar[dict[Any, Any]] = {
            **generator.Generator.TRANSFORMS,
            exp.Array: lambda self, e: f"ARRAY[{self.expressions(e, flat=True)}]",
            exp.Mod: lambda self, e: self.func("MOD", e.this, e.expression),
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
    """The Flink SQL type that reads and writes an Avro type. Raises ValueError for a union of more than null and one type."""
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


def _unnest(sizes: tuple[int, ...]) -> exp.Join:
    array = exp.Array(expressions=[exp.cast(exp.Literal.number(size), "BIGINT") for size in sizes])
    alias = exp.TableAlias(this=exp.to_identifier("sizes"), columns=[exp.to_identifier("tile_ms")])
    return exp.Join(this=exp.Unnest(expressions=[array], alias=alias), kind="CROSS")


def _collect(condition: Part, values: list[Part], record: AvroSchema) -> Part:
    row = exp.cast(exp.func("ROW", *values), _type(flink_type(record).removesuffix(" NOT NULL")))
    return exp.IgnoreNulls(this=exp.ArrayAgg(this=exp.Case().when(condition, row)))


def _type(flink: str) -> exp.DataType:
    return exp.DataType(this=exp.DataType.Type.USERDEFINED, kind=flink)


FLINK = Engine(dialect=Flink, salt=_salt, unnest=_unnest, collect=_collect)


def tile_select(view: View, epoch: int) -> str:
    """The query that yields the view's tiles from `contributions`, under a job epoch."""
    return to_sql(tile_query(view, FLINK, epoch), FLINK)
