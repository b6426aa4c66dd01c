"""The Avro schemas under `schemas/`, as dicts."""

import json
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2] / "schemas"

AvroSchema = dict[str, Any]


@cache
def schema(name: str) -> AvroSchema:
    """The schema `schemas/<name>.avsc`. Raises KeyError naming the known ones."""
    path = ROOT / f"{name}.avsc"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in ROOT.glob("*.avsc")))
        raise KeyError(f"no schema {name!r}; there are {known}")
    loaded: AvroSchema = json.loads(path.read_text("utf-8"))
    return loaded


def field_names(name: str) -> list[str]:
    """Field names of a schema, in order."""
    return [field["name"] for field in schema(name)["fields"]]
