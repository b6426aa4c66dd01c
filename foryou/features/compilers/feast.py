"""From a view to what Feast lists of it: a projection. Feast itself is imported by feature_repo/, not here."""

from __future__ import annotations

from dataclasses import asdict
from typing import NamedTuple

from foryou.features.spec import Dtype, View


class FeastField(NamedTuple):
    """A field of a Feast view: its name, the name of its type in feast.types, tags, description."""

    name: str
    dtype: str
    tags: dict[str, str]
    doc: str


_TYPES: dict[Dtype, str] = {
    "int64": "Int64",
    "float64": "Float64",
    "string": "String",
    "list_string": "Array(String)",
    "list_float64": "Array(Float64)",
}


def feast_fields(view: View) -> list[FeastField]:
    """The view's features, in the order of the definition."""
    return [
        FeastField(
            feature.name,
            _TYPES[feature.dtype],
            {"reading": type(feature.read).__name__}
            | {
                name: str(value) for name, value in asdict(feature.read).items() if isinstance(value, int | float | str)
            },
            feature.doc,
        )
        for feature in view.features
    ]
