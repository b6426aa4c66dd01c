"""The Avro schemas under `schemas/`, as dicts."""

import json
from collections.abc import Collection
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


def projection(record: AvroSchema, names: Collection[str]) -> AvroSchema:
    """The record with only those fields, and so the records in its fields and arrays: for a reader that needs no more.
    Records in unions and maps stay whole."""
    kept = [field for field in record["fields"] if field["name"] in names]
    return {**record, "fields": [{**field, "type": _projected(field["type"], names)} for field in kept]}


def _projected(kind: Any, names: Collection[str]) -> Any:
    if isinstance(kind, dict) and kind.get("type") == "record":
        return projection(kind, names)
    if isinstance(kind, dict) and kind.get("type") == "array":
        return {**kind, "items": _projected(kind["items"], names)}
    return kind


def field_names(name: str) -> list[str]:
    """Field names of a schema, in order."""
    return [field["name"] for field in schema(name)["fields"]]
