"""A view of ours as Feast sees it. `feature_repo/` names the results; nothing is defined there a second time."""

from __future__ import annotations

from datetime import timedelta

from feast import Entity, FeatureView, Field
from feast.types import Array, FeastType, Float64, Int64, String

from foryou.features.compilers.feast import feast_fields
from foryou.features.spec import View

TYPES: dict[str, FeastType] = {
    "Int64": Int64,
    "Float64": Float64,
    "String": String,
    "Array(String)": Array(String),
    "Array(Float64)": Array(Float64),
}
FOREVER = timedelta(0)


def feature_view(view: View, app: Entity, entity: Entity) -> FeatureView:
    """The Feast view of a tile view. It has no source, since only the stream writes it, and no ttl: tiles expire one
    by one (`View.keep`), and what is merged from them is right at the moment of reading however long ago the newest
    event was."""
    return FeatureView(
        name=view.full_name,
        entities=[app, entity],
        schema=[
            Field(name=app.join_key, dtype=String),
            Field(name=entity.join_key, dtype=String),
            *(Field(name=f.name, dtype=TYPES[f.dtype], tags=f.tags, description=f.doc) for f in feast_fields(view)),
        ],
        ttl=FOREVER,
        online=True,
        description=view.doc,
        owner=view.owner,
        tags={"topic": view.topic},
    )
