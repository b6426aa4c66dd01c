"""From a view to the Avro schema of its tiles, the value of the view's topic. The key is raw text: see
View.key_columns.
"""

from __future__ import annotations

from typing import Any

from foryou.contract.schemas import AvroSchema, schema
from foryou.features.operations import Collect, Count, Latest, Operation, Toggle, Total, Watched
from foryou.features.spec import View


def tile_schema(view: View) -> AvroSchema:
    """The tile's record: its key, its version (epoch, n), first and last time, then the measures as they are defined.

    Every field that a later version could add has a default, so that adding one is compatible both ways.
    """
    keys = {"tile_ms": "length of the tile, ms", "tile_start": "its first instant, UTC ms"}
    return {
        "type": "record",
        "name": "".join(word.title() for word in view.full_name.split("_")),
        "namespace": "foryou.features.v1",
        "doc": view.doc,
        "fields": [
            {"name": "app_id", "type": "string", "doc": "the app"},
            {"name": view.entity, "type": "string", "doc": "the entity"},
            *([{"name": view.facet, "type": "string", "doc": "the facet"}] if view.facet else []),
            {"name": "salt", "type": "int", "doc": f"part of the tile, 0 to {view.salts - 1}; readers merge them"},
            *({"name": name, "type": "long", "doc": doc} for name, doc in keys.items()),
            {"name": "epoch", "type": "long", "doc": "of the job's state; a larger one replaces"},
            {
                "name": "n",
                "type": "long",
                "doc": "events applied; within an epoch a larger one replaces, an equal one too",
            },
            _nullable("first_ms", "long", "time of the first event, UTC ms"),
            _nullable("last_ms", "long", "time of the last event, UTC ms"),
            *(_measure(m.name, m.op, m.doc) for m in view.measures),
        ],
    }


def _nullable(name: str, kind: Any, doc: str) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None, "doc": doc}


def _measure(name: str, op: Operation, doc: str) -> dict[str, Any]:
    match op:
        case Count() | Total() | Toggle() | Watched():
            return {"name": name, "type": "long", "default": 0, "doc": doc}
        case Latest():
            return _nullable(name, "long", doc)
        case Collect():
            clean = {field["name"]: field["type"] for field in schema("clean")["fields"]}
            time, *rest = op.fields
            record = {
                "type": "record",
                "name": name.title(),
                "fields": [
                    {"name": time, "type": "long"},
                    *({"name": field, "type": clean[field]} for field in rest),
                    *({"name": flag, "type": "int"} for flag, _ in op.flags),
                ],
            }
            return _nullable(name, {"type": "array", "items": record}, doc)
