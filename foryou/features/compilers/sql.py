"""From a view to SQL, for any engine: one AST, and an `Engine` that says where engines differ.

The query reads `contributions`: the columns of events.clean with `sign` (+1: the event itself, −1: the withdrawal of
an earlier one), `tile_time` (time, or for −1 cancels_time), `salted_by` (the id of the event that
sits at that time), `withdrawn_ms` (the watch time that a −1 takes back) and `nth` (running number of the event within
the person's minute). It yields the columns of compilers.avro.tile_schema, in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

from sqlglot import Dialect, exp

from foryou.contract.relations import WATCH
from foryou.contract.schemas import AvroSchema
from foryou.features import predicate
from foryou.features.compilers.avro import tile_schema
from foryou.features.operations import Collect, Count, Latest, Operation, Toggle, Total, Watched
from foryou.features.spec import View

Part: TypeAlias = exp.Expression


@dataclass(frozen=True)
class Engine:
    """What one SQL engine does in its own way. Everything else is the same query."""

    dialect: type[Dialect]
    salt: Callable[[Part, int], Part]  # (string, salts) → 0 … salts − 1, the same for the same string
    veiled: Callable[[Part], Part]  # a constant that the planner must not take out of the GROUP BY
    collect: Callable[[Part, list[Part], AvroSchema], Part]  # (condition, values, record type) → list of records


def tile_query(view: View, engine: Engine, epoch: int) -> exp.Select:
    """The aggregation of one view."""
    keys = [_column(name) for name in view.key_columns]
    measures = [_named(_aggregate(m.name, m.op, view, engine), m.name) for m in view.measures]
    return (
        exp.select(
            *keys,
            _named(_bigint(exp.Literal.number(epoch)), "epoch"),
            # Of events only: how many withdrawals there are depends on the order of arrival, and a version must not.
            _named(exp.Count(this=_when(_applied(), exp.Literal.number(1))), "n"),
            _named(exp.Min(this=_when(_applied(), _column("time"))), "first_ms"),
            _named(exp.Max(this=_when(_applied(), _column("time"))), "last_ms"),
            *measures,
        )
        .from_(_in_tiles(view, engine).subquery("rows_in_tiles"))
        .group_by(*(key.copy() for key in keys))
    )


def to_sql(query: Part, engine: Engine) -> str:
    """The text of a query or statement, laid out for people."""
    text: str = query.sql(dialect=engine.dialect, pretty=True, identify=True, comments=False)
    return text


def _in_tiles(view: View, engine: Engine) -> Part:
    """Contributions with the tile and the salt that they fall into: once per tile size.

    UNION ALL, for Flink plans a CROSS JOIN UNNEST of a constant array as a join: all rows in its state, on one core.
    """

    def of_size(tile_ms: int) -> exp.Select:
        size = _bigint(exp.Literal.number(tile_ms))
        start = exp.Sub(this=_column("tile_time"), expression=exp.Mod(this=_column("tile_time"), expression=size))
        named_size = engine.veiled(size.copy()) if len(view.tiles) == 1 else size.copy()
        query = exp.select(
            exp.Star(),
            _named(engine.salt(_column("salted_by"), view.salts), "salt"),
            _named(named_size, "tile_ms"),
            _named(start, "tile_start"),
        ).from_(exp.to_table("contributions"))
        return query if view.where == "TRUE" else query.where(predicate.parse(view.where).copy())

    branches = [of_size(resolution.ms) for resolution in view.tiles]
    return reduce(lambda left, right: exp.union(left, right, distinct=False), branches)


def _aggregate(name: str, op: Operation, view: View, engine: Engine) -> Part:
    # CASE, not FILTER (WHERE …): Flink's planner has bugs there, and every engine has CASE.
    match op:
        case Count(where):
            return exp.Count(this=_when(_applied(where), exp.Literal.number(1)))
        case Total(column, where):
            value = exp.Coalesce(this=predicate.parse(column).copy(), expressions=[exp.Literal.number(0)])
            return exp.Sum(this=_when(_applied(where), value, _bigint(exp.Literal.number(0))))
        case Toggle(relation):
            about = exp.EQ(this=_column("relation"), expression=exp.Literal.string(relation))
            word = exp.Coalesce(this=_column("relation_on"), expressions=[exp.Literal.number(0)])
            change = _when(_applied(), word, exp.Literal.number(-1))
            return exp.Sum(this=_when(about, _bigint(change), _bigint(exp.Literal.number(0))))
        case Watched():
            watched = exp.Coalesce(this=_column("watch_ms"), expressions=[exp.Literal.number(0)])
            withdrawn = exp.Coalesce(this=_column("withdrawn_ms"), expressions=[exp.Literal.number(0)])
            holds = exp.EQ(this=_column("relation_on"), expression=exp.Literal.number(1))
            change = _when(_applied(), _when(holds, watched, exp.Literal.number(0)), exp.Neg(this=withdrawn))
            about = exp.EQ(this=_column("relation"), expression=exp.Literal.string(WATCH))
            return exp.Sum(this=_when(about, _bigint(change), _bigint(exp.Literal.number(0))))
        case Latest(where):
            return exp.Max(this=_when(_applied(where), _column("time")))
        case Collect():
            soon = exp.LTE(this=_column("nth"), expression=exp.Literal.number(op.keep))
            flags = [_when(predicate.parse(flag).copy(), *_one_or_zero()) for _, flag in op.flags]
            (field,) = (field for field in tile_schema(view)["fields"] if field["name"] == name)
            record: AvroSchema = field["type"][1]["items"]
            values = [*(_column(field) for field in op.fields), *flags]
            return engine.collect(exp.and_(_applied(op.where), soon), values, record)


def _one_or_zero() -> tuple[Part, Part]:
    return exp.Literal.number(1), exp.Literal.number(0)


def _applied(where: str = "TRUE") -> Part:
    """Of an event itself, not of a withdrawal, and satisfying `where`."""
    itself = exp.EQ(this=_column("sign"), expression=exp.Literal.number(1))
    return itself if where == "TRUE" else exp.and_(itself, predicate.parse(where).copy())


def _column(name: str) -> exp.Column:
    return exp.column(name)


def _named(value: Part, name: str) -> Part:
    return exp.alias_(value, name)


def _when(condition: Part, value: Part, otherwise: Part | None = None) -> exp.Case:
    case = exp.Case().when(condition, value)
    return case.else_(otherwise) if otherwise is not None else case


def _bigint(value: Part) -> Part:
    return exp.cast(value, exp.DataType.Type.BIGINT)
