"""The words of a mapping: where one field's values come from, and when a row becomes an event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from foryou.contract.events import ClientEvent

Columns = Mapping[str, list[Any]]
Lookup = dict[str, dict[str, str]]  # key → row of the looked-up table
UNITS = {"us": 0.001, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAID = {"column", "value", "unit", "prefix", "values", "default", "split", "lookup"}
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class MappingWrong(Exception):
    """A mapping that cannot be applied; the message is the one sentence to show."""


def _kinds() -> dict[str, str]:
    """Of each field of an event what its values are: whole, time, text, list or object."""
    kinds = {}
    for name, hint in get_type_hints(ClientEvent).items():
        options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        plain = {get_origin(option) or option for option in options} - {NoneType}
        words = {dict: "object", list: "list", int: "whole", str: "text"}
        found = {words.get(kind, "object") for kind in plain}
        kinds[name] = "time" if found == {"whole", "text"} else found.pop()
    return kinds | {"received_at": "time"}


KINDS = _kinds()


@dataclass(frozen=True)
class Term:
    """One field: a constant, or a column (of the row, or of the looked-up row whose key the column holds)."""

    field: str
    kind: str
    column: str | None = None
    value: Any = None
    unit: str | None = None
    prefix: str | None = None
    table: Mapping[str, Any] | None = None  # value as text → what it becomes; what is not in it becomes the default
    default: Any = None
    split: str | None = None  # of a list: its parts; of any other field: the first part
    lookup: str | None = None
    found: str | None = None  # the column of the looked-up row

    def values(self, columns: Columns, count: int, lookups: Mapping[str, Lookup]) -> list[Any]:
        """The field's values, None where there is none. What cannot be read stays as it is: the gate says why."""
        if self.column is None:
            return [self.value] * count
        values = columns.get(self.column)
        if values is None:  # in NDJSON a line need not have every key
            return [self.default] * count
        if self.lookup is not None and self.found is not None:
            rows, found = lookups[self.lookup], self.found
            values = [rows[str(key)].get(found) if str(key) in rows else None for key in values]
        if self._as_they_are(values):
            return values
        read = self._reader()
        return [self.default if value is None or value == "" else read(value) for value in values]

    def _as_they_are(self, values: list[Any]) -> bool:
        """Whether the values can be handed on unseen: nearly always so in Parquet written from events."""
        if self.unit not in (None, "ms") or self.prefix or self.table or self.split or self.default is not None:
            return False
        kinds = set(map(type, values)) - {NoneType}
        if kinds <= {str}:
            return self.kind == "text" and "" not in values
        return kinds <= {int} and self.kind in ("whole", "time")

    def _reader(self) -> Callable[[Any], Any]:
        table, split, prefix, default = self.table, self.split, self.prefix, self.default
        cast = _CASTS[self.kind]
        scale = UNITS.get(self.unit or "ms", 1)

        def read(value: Any) -> Any:
            if split is not None and isinstance(value, str):
                parts = [part.strip() for part in value.split(split)]
                value = parts if self.kind == "list" else parts[0]
            if table is not None:
                value = table.get(str(value), default)
                if value is None:
                    return None
            value = cast(value, scale)
            return value if prefix is None else f"{prefix}{value}"

        return read


@dataclass(frozen=True)
class Condition:
    """When a row becomes an event: a column beside one operand."""

    column: str
    word: str
    operand: Any

    def holds(self, columns: Columns, count: int) -> list[bool]:
        """Row by row. A missing value holds in `present = false` only."""
        values = columns.get(self.column) or [None] * count
        test, operand = _TESTS[self.word], self.operand
        numeric = not isinstance(operand, str | bool | list)
        read = _number if numeric else _listed if self.word == "among" else _same
        return [test(None if value is None or value == "" else read(value), operand) for value in values]


def term_of(field: str, said: Any) -> Term:
    """A term as a mapping says it: a column's name, or a table. Raises MappingWrong."""
    about = {"column": said} if isinstance(said, str) else said
    if not isinstance(about, dict) or about.keys() - _SAID or ("column" in about) == ("value" in about):
        raise MappingWrong(f"{field}: say a column's name, or a table with `column` or `value`; known: {sorted(_SAID)}")
    unit = about.get("unit")
    if unit is not None and unit not in UNITS:
        raise MappingWrong(f"{field}: the unit {unit!r} is none of {', '.join(UNITS)}")
    lookup, _, found = about.get("lookup", "").partition(".")
    group = field.partition(".")[0] if "." in field else None
    kind = {"context": "text", "properties": "text", "consent": "truth"}[group] if group else KINDS[field]
    return Term(
        field=field,
        kind=kind,
        column=about.get("column"),
        value=about.get("value"),
        unit=unit,
        prefix=about.get("prefix"),
        table=about.get("values"),
        default=about.get("default"),
        split=about.get("split"),
        lookup=lookup or None,
        found=found or None,
    )


def condition_of(said: Any) -> Condition:
    """A condition as a mapping says it: {column = …, one of equals, not, above, below, among, present}."""
    if not isinstance(said, dict) or "column" not in said or len(said) != 2:
        raise MappingWrong(f"a condition has a column and one of {', '.join(_TESTS)}, not {said!r}")
    word = next(iter(said.keys() - {"column"}))
    if word not in _TESTS or (word == "among") != isinstance(said[word], list):
        raise MappingWrong(f"{word!r} is no condition with such an operand; there are {', '.join(_TESTS)}")
    return Condition(said["column"], word, said[word])


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda value, operand: value is not None and value == operand,
    "not": lambda value, operand: value is not None and value != operand,
    "above": lambda value, operand: value is not None and value > operand,
    "below": lambda value, operand: value is not None and value < operand,
    "among": lambda value, operand: value is not None and value in {str(each) for each in operand},
    "present": lambda value, operand: (value is not None) == operand,
}


def _same(value: Any) -> Any:
    return value


def _listed(value: Any) -> str:
    return str(value)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _whole(value: Any, scale: float) -> Any:
    """Whole milliseconds, or a whole number; text that is no number stays text."""
    if isinstance(value, timedelta):
        return round(value / timedelta(milliseconds=1))
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                return value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    scaled = value if scale == 1 else float(value) * scale
    if scaled != scaled or scaled in (float("inf"), float("-inf")):
        return str(value)
    # A fraction is rounded where a unit was turned into another, and refused where it was not.
    return round(scaled) if scale != 1 or scaled == int(scaled) else float(scaled)


def _time(value: Any, scale: float) -> Any:
    if isinstance(value, datetime):
        zoned = value if value.tzinfo is not None else value.replace(tzinfo=UTC)  # Parquet's zoneless is taken as UTC
        return (zoned - _EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, date):
        return (datetime(value.year, value.month, value.day, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, str) and len(value) == 10 and value[4:5] == value[7:8] == "-":
        return f"{value}T00:00:00Z"
    return _whole(value, scale)


def _text(value: Any, scale: float) -> Any:
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _list(value: Any, scale: float) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def _object(value: Any, scale: float) -> Any:
    if isinstance(value, list):
        value = dict(value)  # a Parquet map
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if each is not None}  # a Parquet struct has every member
    return _list(value, scale)


def _truth(value: Any, scale: float) -> Any:
    return _TRUTHS.get(value.lower(), value) if isinstance(value, str) else bool(value) if value in (0, 1) else value


_CASTS: dict[str, Callable[[Any, float], Any]] = {
    "whole": _whole,
    "time": _time,
    "text": _text,
    "list": _list,
    "object": _object,
    "truth": _truth,
}
