"""Spark SQL: the types, the tile queries. The batch layer's tiles need no salts: theirs is BATCH_SALT, which marks
them."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.dialects.spark import Spark

from foryou.contract.schemas import AvroSchema
from foryou.features.compilers.sql import Engine, Part, tile_query, to_sql
from foryou.features.merge import BATCH_SALT
from foryou.features.spec import View

EPOCH = 1  # the publisher sets the epoch; in the lake a tile has no other version than the table's

_PRIMITIVES = {
    "string": "STRING",
    "long": "BIGINT",
    "int": "INT",
    "double": "DOUBLE",
    "float": "FLOAT",
    "boolean": "BOOLEAN",
    "bytes": "BINARY",
}


def spark_type(avro: Any) -> str:
    """The Spark SQL type of an Avro type. Raises ValueError where there is none."""
    match avro:
        case ["null", inner] | [inner, "null"]:
            return spark_type(inner)
        case {"type": "array", "items": items}:
            return f"ARRAY<{spark_type(items)}>"
        case {"type": "map", "values": values}:
            return f"MAP<STRING, {spark_type(values)}>"
        case {"type": "record", "fields": fields}:
            return "STRUCT<" + ", ".join(f"`{f['name']}`: {spark_type(f['type'])}" for f in fields) + ">"
        case {"type": inner}:
            return spark_type(inner)
        case str() if avro in _PRIMITIVES:
            return _PRIMITIVES[avro]
    raise ValueError(f"no Spark type for Avro {avro!r}")


def _salt(text: Part, salts: int) -> Part:
    return exp.Neg(this=exp.Literal.number(-BATCH_SALT))


def _veiled(constant: Part) -> Part:
    return constant  # Spark keeps a constant in a GROUP BY


def _collect(condition: Part, values: list[Part], record: AvroSchema) -> Part:
    names = [exp.Literal.string(field["name"]) for field in record["fields"]]
    pairs = [part for pair in zip(names, values, strict=True) for part in pair]
    # collect_list leaves nulls out; the order is of time, not of arrival, so that a day made twice is the same bytes.
    row = exp.Case().when(condition, exp.cast(exp.func("NAMED_STRUCT", *pairs), _type(spark_type(record))))
    return exp.func("SORT_ARRAY", exp.func("COLLECT_LIST", row))


def _type(spark: str) -> exp.DataType:
    return exp.DataType(this=exp.DataType.Type.USERDEFINED, kind=spark)


SPARK = Engine(dialect=Spark, salt=_salt, veiled=_veiled, collect=_collect)


def tile_select(view: View) -> str:
    """The query that yields the view's tiles from `contributions`."""
    return to_sql(tile_query(view, SPARK, EPOCH), SPARK)
