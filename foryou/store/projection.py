"""A view of ours as Feast sees it. `feature_repo/` names the results; nothing is defined there a second time."""

from __future__ import annotations

from datetime import timedelta

from feast import Entity, FeatureView, Field
from feast.types import Array, FeastType, Float64, Int64, String

from foryou.features.spec import View

TYPES: dict[str, FeastType] = {
    "int64": Int64,
    "float64": Float64,
    "string": String,
    "list_string": Array(String),
    "list_float64": Array(Float64),
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
            *(
                Field(name=feature.name, dtype=TYPES[feature.dtype], description=feature.doc)
                for feature in view.features
            ),
        ],
        ttl=FOREVER,
        online=True,
        description=view.doc,
        owner=view.owner,
        tags={"topic": view.topic},
    )
