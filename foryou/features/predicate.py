"""Conditions of definitions: a small, engine-neutral part of SQL, parsed once into an AST that every compiler reuses.

Allowed: columns, strings, integers, TRUE, FALSE, NULL, AND, OR, NOT, =, <>, <, <=, >, >=, [NOT] IN (literals), IS
[NOT] NULL, COALESCE, +, -, * and parentheses. Left out on purpose is what engines answer differently: division, CAST,
LIKE, functions, comparing a string with a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

Kind = Literal["boolean", "integer", "string", "null"]

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul)


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
    """The value of an expression over one row, in SQL's three-valued logic (None is NULL). For the oracle: naive and
    slow.
    """
    return _value(parse(sql), row)


def _value(node: exp.Expression, row: Mapping[str, Any]) -> Any:
    match node:
        case exp.Column():
            return row[node.name]
        case exp.Literal():
            return node.name if node.is_string else int(node.name)
        case exp.Null():
            return None
        case exp.Boolean():
            return bool(node.this)
        case exp.Paren():
            return _value(node.this, row)
        case exp.Is():
            return _value(node.this, row) is None
        case exp.Coalesce():
            values = [_value(e, row) for e in (node.this, *node.expressions)]
            return next((value for value in values if value is not None), None)
        case exp.And():
            both = (_value(node.left, row), _value(node.right, row))
            return False if False in both else None if None in both else True
        case exp.Or():
            both = (_value(node.left, row), _value(node.right, row))
            return True if True in both else None if None in both else False
        case exp.In():
            one = _value(node.this, row)
            return None if one is None else one in [_value(e, row) for e in node.expressions]
        case exp.Not():
            one = _value(node.this, row)
            return None if one is None else not one
        case exp.Neg():
            one = _value(node.this, row)
            return None if one is None else -one
    left, right = _value(node.left, row), _value(node.right, row)
    if left is None or right is None:
        return None
    match node:
        case exp.EQ():
            return left == right
        case exp.NEQ():
            return left != right
        case exp.LT():
            return left < right
        case exp.LTE():
            return left <= right
        case exp.GT():
            return left > right
        case exp.GTE():
            return left >= right
        case exp.Add():
            return left + right
        case exp.Sub():
            return left - right
        case exp.Mul():
            return left * right
    raise BadExpression(f"{node.sql()}: no value")
