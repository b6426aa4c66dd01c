"""What was served, with the values it was scored on: one record of served.avsc."""

from collections.abc import Mapping
from typing import Any

from foryou.ranker.pipeline import Page
from foryou.ranker.query import Query


def served_record(query: Query, page: Page, fallback: str | None) -> dict[str, Any]:
    """Numbers, words and series apart, because an Avro union cannot hold two kinds of lists."""
    request = query.request
    values: Mapping[str, Any] = query.features.values if query.features else {}
    lists = {name: value for name, value in values.items() if isinstance(value, list)}
    words = {name: value for name, value in lists.items() if all(isinstance(each, str) for each in value)}
    return {
        "request_id": request.request_id,
        "app_id": request.app_id,
        "user_key": request.user_key,
        "served_at": request.now_ms,
        "features_at": query.features.read_at if query.features else request.now_ms,
        "fallback": fallback,
        "model_version": query.model_version,
        "variant": None,
        "user_numbers": {name: float(value) for name, value in values.items() if isinstance(value, int | float)},
        "user_words": words,
        "user_series": {name: value for name, value in lists.items() if name not in words},
        "context": dict(request.context),
        "items": [
            {
                "impression_id": item.impression_id,
                "video_id": item.video_id,
                "position": item.position,
                "creator_key": item.creator_key,
                "category": item.category,
                "source": item.source,
                "score": item.score,
                "features": item.features,
            }
            for item in page.items
        ],
    }
