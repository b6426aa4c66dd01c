"""Reads live features over HTTP, as any other process would: Feast's own POST /get-online-features."""

from collections.abc import Sequence
from typing import Any

import msgspec

from foryou.simulator.wire import Door


class FeaturesUnreadable(Exception):
    """Feast answered something else than features."""


class FeatureReader:
    """Reads one app's features through the feature server."""

    def __init__(self, door: Door, app_id: str) -> None:
        self._door = door
        self._app_id = app_id

    async def of_user(self, user_key: str, names: Sequence[str]) -> dict[str, Any]:
        """Values by feature name for `view:feature` names. Raises FeaturesUnreadable, OSError."""
        asked = {"features": list(names), "entities": {"app_id": [self._app_id], "user_key": [user_key]}}
        answer = await self._door.post("/get-online-features", msgspec.json.encode(asked))
        if answer.status != 200:
            raise FeaturesUnreadable(f"POST /get-online-features: {answer.status} {answer.body[:300]!r}")
        said = msgspec.json.decode(answer.body)
        columns = said["metadata"]["feature_names"]
        return {name: column["values"][0] for name, column in zip(columns, said["results"], strict=True)}
