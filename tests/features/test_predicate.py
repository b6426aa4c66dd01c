"""Conditions mean what an SQL engine says they mean."""

import sqlite3

import hypothesis.strategies as st
import pytest
from hypothesis import given

from foryou.features.predicate import BadExpression, columns, evaluate, kind_of

KINDS = {"watch_ms": "integer", "loops": "integer", "event_type": "string", "category": "string"}
TEXT = st.sampled_from(["like", "view_end", "", "Ä"])
NUMBER = st.integers(-3, 3)

integers = st.recursive(
    st.sampled_from(["watch_ms", "loops"]) | st.integers(0, 3).map(str),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda i: f"-({i})")
        | st.tuples(inner, inner).map(lambda t: f"COALESCE({t[0]}, {t[1]})")
    ),
    max_leaves=4,
)
strings = st.sampled_from(["event_type", "category", "COALESCE(category, 'like')"]) | TEXT.map(lambda t: f"'{t}'")
compared = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


def listed(values):
    return st.lists(values, min_size=1, max_size=3).map(", ".join)


atoms = st.one_of(
    st.tuples(integers, compared, integers).map(" ".join),
    st.tuples(strings, compared, strings).map(" ".join),
    st.tuples(integers, st.sampled_from(["IN", "NOT IN"]), listed(st.integers(0, 3).map(str))).map(
        lambda t: f"{t[0]} {t[1]} ({t[2]})"
    ),
    st.tuples(strings, st.sampled_from(["IN", "NOT IN"]), listed(TEXT.map(lambda t: f"'{t}'"))).map(
        lambda t: f"{t[0]} {t[1]} ({t[2]})"
    ),
    st.tuples(integers | strings, st.sampled_from(["IS NULL", "IS NOT NULL"])).map(" ".join),
    st.sampled_from(["TRUE", "FALSE"]),
)
conditions = st.recursive(
    atoms,
    lambda inner: (
        inner.map(lambda c: f"NOT ({c})")
        | st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
        | st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda t: f"{t[0]} {t[1]} {t[2]}")
    ),
    max_leaves=5,
)
rows = st.fixed_dictionaries(
    {name: st.none() | (NUMBER if kind == "integer" else TEXT) for name, kind in KINDS.items()}
)
ENGINE = sqlite3.connect(":memory:")


def answer_of_sqlite(sql, row):
    values = ", ".join(f":{name} AS {name}" for name in row)
    (answer,) = ENGINE.execute(f"SELECT {sql} FROM (SELECT {values})", row).fetchone()
    return answer


@given(conditions, rows)
def test_a_condition_is_what_an_sql_engine_says(condition, row):
    assert kind_of(condition, KINDS) == "boolean"
    assert evaluate(condition, row) == answer_of_sqlite(condition, row)


@given(integers, rows)
def test_arithmetic_is_what_an_sql_engine_says(expression, row):
    assert kind_of(expression, KINDS) in ("integer", "null")
    assert evaluate(expression, row) == answer_of_sqlite(expression, row)


def test_columns_are_found_wherever_they_are():
    assert columns("NOT (watch_ms + loops > 3 AND category IN ('a'))") == {"watch_ms", "loops", "category"}


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("wach_ms > 3", "no column wach_ms"),
        ("watch_ms = 'like'", "mixes integer and string"),
        ("watch_ms / 2 > 1", "Div is not in the allowed part"),
        ("watch_ms > 1.5", "only whole numbers"),
        ("LOWER(category) = 'a'", "Lower is not in the allowed part"),
        ("category LIKE 'a%'", "Like is not in the allowed part"),
        ("watch_ms IN (SELECT 1)", "not in the allowed part"),
        ("category AND TRUE", "must be boolean"),
        ("watch_ms >", "is not an expression"),
    ],
)
def test_what_engines_answer_differently_is_refused(sql, why):
    with pytest.raises(BadExpression, match=why):
        kind_of(sql, KINDS)
