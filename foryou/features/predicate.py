"""Conditions of definitions: a small, engine-neutral part of SQL, parsed once into an AST that every compiler reuses.

Allowed: columns, strings, integers, TRUE, FALSE, NULL, AND, OR, NOT, =, <>, <, <=, >, >=, [NOT] IN (literals), IS
[NOT] NULL, COALESCE, +, -, * and parentheses. Left out on purpose is what engines answer differently: division, CAST,
LIKE, functions, comparing a string with a number.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

Kind = Literal["boolean", "integer", "string", "null"]

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul)
_OF_TWO: dict[type[exp.Expression], Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
}
Value = Callable[[Mapping[str, Any]], Any]  # a row's value of an expression


class BadExpression(ValueError):
    """An expression outside of the allowed part of SQL, or about columns that do not exist."""


@cache
def parse(sql: str) -> exp.Expression:
    """The AST of an expression; shared, so copy it before building it into a query. Raises BadExpression."""
    try:
        tree: exp.Expression = sqlglot.parse_one(sql)
    except ParseError as error:
        raise BadExpression(f"{sql!r} is not an expression: {error.errors[0]['description']}") from error
    return tree


def columns(sql: str) -> set[str]:
    """Names of the columns that an expression reads."""
    return {column.name for column in parse(sql).find_all(exp.Column)}


def kind_of(sql: str, known: Mapping[str, Kind]) -> Kind:
    """What an expression yields, given the kinds of the columns. Raises BadExpression when anything in it is not
    allowed.
    """
    return _kind(parse(sql), known)


def _kind(node: exp.Expression, known: Mapping[str, Kind]) -> Kind:
    def operands(wanted: Iterable[exp.Expression]) -> Kind:
        kinds = {_kind(operand, known) for operand in wanted} - {"null"}
        if len(kinds) > 1:
            raise BadExpression(f"{node.sql()} mixes {' and '.join(sorted(kinds))}")
        return kinds.pop() if kinds else "null"

    def must_be(kind: Kind, *found: exp.Expression) -> None:
        for operand in found:
            if _kind(operand, known) not in (kind, "null"):
                raise BadExpression(f"{operand.sql()} in {node.sql()} must be {kind}")

    match node:
        case exp.Column() if node.name in known and not node.table:
            return known[node.name]
        case exp.Column():
            raise BadExpression(f"no column {node.sql()}")
        case exp.Literal():
            if not node.is_string and not node.is_int:
                raise BadExpression(f"{node.sql()}: only whole numbers")
            return "string" if node.is_string else "integer"
        case exp.Null():
            return "null"
        case exp.Boolean():
            return "boolean"
        case exp.Paren():
            return _kind(node.this, known)
        case exp.Not():
            must_be("boolean", node.this)
            return "boolean"
        case exp.And() | exp.Or():
            must_be("boolean", node.left, node.right)
            return "boolean"
        case exp.In() if node.expressions and all(isinstance(e, exp.Literal) for e in node.expressions):
            operands([node.this, *node.expressions])
            return "boolean"
        case exp.Is() if isinstance(node.expression, exp.Null):
            _kind(node.this, known)
            return "boolean"
        case exp.Coalesce():
            return operands([node.this, *node.expressions])
        case exp.Neg():
            must_be("integer", node.this)
            return "integer"
        case _ if isinstance(node, _COMPARISONS):
            operands([node.left, node.right])
            return "boolean"
        case _ if isinstance(node, _ARITHMETIC):
            must_be("integer", node.left, node.right)
            return "integer"
    raise BadExpression(f"{node.sql()}: {type(node).__name__} is not in the allowed part of SQL")


def evaluate(sql: str, row: Mapping[str, Any]) -> Any:
    """The value of an expression over one row, in SQL's three-valued logic (None is NULL). For the oracle: naive."""
    return _meaning(sql)(row)


@cache
def _meaning(sql: str) -> Value:
    return _value(parse(sql))


def _value(node: exp.Expression) -> Value:
    """What gives a node's value, made once for all rows."""
    match node:
        case exp.Column():
            return itemgetter(node.name)
        case exp.Literal():
            literal = node.name if node.is_string else int(node.name)
            return lambda row: literal
        case exp.Null():
            return lambda row: None
        case exp.Boolean():
            truth = bool(node.this)
            return lambda row: truth
        case exp.Paren():
            return _value(node.this)
        case exp.Is():
            one = _value(node.this)
            return lambda row: one(row) is None
        case exp.Coalesce():
            several = [_value(e) for e in (node.this, *node.expressions)]
            return lambda row: next((value for each in several if (value := each(row)) is not None), None)
        case exp.And():
            both = [_value(node.left), _value(node.right)]
            return lambda row: _and([each(row) for each in both])
        case exp.Or():
            both = [_value(node.left), _value(node.right)]
            return lambda row: _or([each(row) for each in both])
        case exp.In():
            one, wanted = _value(node.this), [_value(e)({}) for e in node.expressions]
            return lambda row: None if (value := one(row)) is None else value in wanted
        case exp.Not():
            one = _value(node.this)
            return lambda row: None if (value := one(row)) is None else not value
        case exp.Neg():
            one = _value(node.this)
            return lambda row: None if (value := one(row)) is None else -value
    of_two = _OF_TWO.get(type(node))
    if of_two is None:
        raise BadExpression(f"{node.sql()}: no value")
    left, right = _value(node.left), _value(node.right)
    return lambda row: None if (a := left(row)) is None or (b := right(row)) is None else of_two(a, b)


def _and(both: list[Any]) -> bool | None:
    return False if False in both else None if None in both else True


def _or(both: list[Any]) -> bool | None:
    return True if True in both else None if None in both else False
