"""Admission, blend and contributions: the SQL between the collector's topics and the tiles, with bound parameters."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_HERE = Path(__file__).parent
_VIEW = re.compile(r"^-- view: (\w+)\n", re.MULTILINE)
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")

Bound = Mapping[str, int | list[int] | list[str]]


def views(name: str, bound: Bound) -> Iterator[tuple[str, str]]:
    """The views of `<name>.sql` in order, as (view name, SELECT text), parameters replaced.

    A parameter is an int, a list of ints (an ARRAY), or a list of SQL column expressions that a compiler made.
    Raises KeyError for a parameter that is not bound.
    """
    text = (_HERE / f"{name}.sql").read_text("utf-8")
    parts = _VIEW.split(text)[1:]
    for view, body in zip(parts[::2], parts[1::2], strict=True):
        sql = "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip().removesuffix(";")
        yield view, _PARAMETER.sub(lambda match: _literal(bound[match[1]]), sql)


def _literal(value: int | list[int] | list[str]) -> str:
    if isinstance(value, int):
        return str(value)
    if all(isinstance(item, int) for item in value):
        return f"ARRAY[{', '.join(map(str, value))}]"
    return ", ".join(map(str, value))
