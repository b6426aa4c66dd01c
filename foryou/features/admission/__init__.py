"""Admission, blend and contributions: the SQL between the collector's topics and the tiles, with bound parameters."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_HERE = Path(__file__).parent
_VIEW = re.compile(r"^-- view: (\w+)\n", re.MULTILINE)
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")

Bound = Mapping[str, int | list[str]]


def views(name: str, bound: Bound) -> Iterator[tuple[str, str]]:
    """The views of `<name>.sql` beside this module, in order; see read_views."""
    return read_views(_HERE / f"{name}.sql", bound)


def read_views(path: Path, bound: Bound) -> Iterator[tuple[str, str]]:
    """The views of a file in order, as (view name, SELECT text), parameters replaced.

    A parameter is an int, or a list of SQL expressions that stands for a list of columns.
    Raises KeyError for a parameter that is not bound.
    """
    text = path.read_text("utf-8")
    parts = _VIEW.split(text)[1:]
    for view, body in zip(parts[::2], parts[1::2], strict=True):
        sql = (
            "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--"))
            .strip()
            .removesuffix(";")
        )
        yield view, _PARAMETER.sub(lambda match: _literal(bound[match[1]]), sql)


def _literal(value: int | list[str]) -> str:
    return str(value) if isinstance(value, int) else ", ".join(value)
