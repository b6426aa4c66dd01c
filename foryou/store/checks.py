"""What a body must be before Feast sees it: the checks that can name the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from feast import FeatureStore, PushSource, ValueType
from feast.errors import FeastError, FeatureServiceNotFoundException, FeatureViewNotFoundException

from foryou.features.definitions import VIEWS
from foryou.service.problem import Problem

MAX_ENTITIES = 1_000
MAX_FEATURES = 1_000
MAIN_FIELD = {"/get-online-features": "entities", "/push": "df", "/write-to-online-store": "df"}
_BODIES: dict[str, dict[str, type]] = {
    "/get-online-features": {"entities": dict},
    "/push": {"push_source_name": str, "df": dict},
    "/write-to-online-store": {"feature_view_name": str, "df": dict},
}


def _text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _whole(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63)


def _number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _each(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or (isinstance(value, list) and all(v is not None and fits(v) for v in value))


# Of Feast's types those that our views have; what is not here Feast judges alone.
_FITS: dict[ValueType, tuple[Callable[[Any], bool], str]] = {
    ValueType.STRING: (_text, "a string"),
    ValueType.INT64: (_whole, "a whole number of 64 bits"),
    ValueType.DOUBLE: (_number, "a number"),
    ValueType.STRING_LIST: (_each(_text), "a list of strings"),
    ValueType.DOUBLE_LIST: (_each(_number), "a list of numbers"),
}
_JSON_NAMES: dict[type, str] = {dict: "an object", str: "a string", list: "a list"}


@dataclass(frozen=True)
class Known:
    """What the registry holds, as far as a request can name it."""

    services: Mapping[str, frozenset[str]]  # service → its views
    views: Mapping[str, Mapping[str, ValueType]]  # view → its features and their types
    keys: Mapping[str, frozenset[str]]  # view → its join keys
    key_types: Mapping[str, ValueType]
    push_sources: Mapping[str, frozenset[str]]  # push source → the views that it fills

    @classmethod
    def of(cls, store: FeatureStore) -> Known:
        """Of the registry as it was last taken over."""
        views = store.list_all_feature_views(allow_cache=True)
        return cls(
            {
                service.name: frozenset(projection.name for projection in service.feature_view_projections)
                for service in store.list_feature_services()
            },
            {view.name: {feature.name: feature.dtype.to_value_type() for feature in view.features} for view in views},
            {view.name: frozenset(getattr(view, "join_keys", ())) for view in views},
            {entity.join_key: entity.value_type for entity in store.list_entities(allow_cache=True)},
            {
                source.name: frozenset(
                    view.name
                    for view in views
                    if (fed_by := getattr(view, "stream_source", None)) is not None and fed_by.name == source.name
                )
                for source in store.list_data_sources(allow_cache=True)
                if isinstance(source, PushSource)
            },
        )


def check(path: str, raw: bytes, known: Known) -> None:
    """Raises Problem when the body cannot be meant; paths that are not named here are Feast's alone."""
    required = _BODIES.get(path)
    if required is None:
        return
    body = _json(raw)
    for name, kind in required.items():
        if name not in body:
            raise _refused(name, f"{name} is missing", f"add {name}: {_JSON_NAMES[kind]}", "missing_field")
        if not isinstance(body[name], kind):
            raise _refused(name, f"{name} is not {_JSON_NAMES[kind]}", f"send {_JSON_NAMES[kind]}")
    if path == "/get-online-features":
        _check_entities(body["entities"], known)
        _check_keys(body["entities"], _check_features(body, known), known)
    else:
        _check_columns("df", body["df"])
        written = _pushed_to(body, known) if path == "/push" else _written_to(body, known)
        _check_rows(body["df"], written, known)


def field_of(error: FeastError) -> str | None:
    """The field of the body that an error of Feast is about."""
    if isinstance(error, FeatureServiceNotFoundException):
        return "feature_service"
    return "features" if isinstance(error, FeatureViewNotFoundException) else None


def _json(raw: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        told = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Problem(400, "Not JSON", told, "body", "send one JSON object in UTF-8", reason="not_json") from None
    if not isinstance(body, dict):
        raise Problem(
            422, "Not understood", "the body is not an object", "body", "send one JSON object", reason="bad_field"
        )
    return body


def _check_features(body: dict[str, Any], known: Known) -> set[str]:
    """Returns the views that are asked for."""
    asked: set[str] = set()
    service, features = body.get("feature_service"), body.get("features", [])
    if service is not None:
        if not isinstance(service, str):
            raise _refused("feature_service", "feature_service is not a string", _one_of(known.services))
        if service not in known.services:
            told = f"there is no feature service {service[:100]!r}"
            raise Problem(404, "Not found", told, "feature_service", _one_of(known.services), reason="unknown_service")
        asked |= known.services[service]
    elif not features:
        remedy = f'name a feature_service ({_one_of(known.services)}) or features such as ["view:feature"]'
        raise _refused("features", "neither feature_service nor features is given", remedy, "missing_field")
    if not isinstance(features, list) or len(features) > MAX_FEATURES:
        raise _refused("features", f"features is not a list of at most {MAX_FEATURES}", 'send ["view:feature", …]')
    for index, reference in enumerate(features):
        field = f"features[{index}]"
        if not isinstance(reference, str) or reference.count(":") != 1:
            raise _refused(field, f"{field} is not of the form view:feature", 'such as "user_activity_v1:likes_24h"')
        name, feature = reference.split(":")
        if name not in known.views:
            told = f"there is no view {name[:100]!r}"
            raise Problem(404, "Not found", told, field, _one_of(known.views), reason="unknown_view")
        if feature not in known.views[name]:
            told = f"view {name} has no feature {feature[:100]!r}"
            raise Problem(404, "Not found", told, field, _one_of(known.views[name]), reason="unknown_feature")
        asked.add(name)
    return asked


def _check_keys(entities: dict[str, Any], asked: set[str], known: Known) -> None:
    needed = frozenset[str]().union(*(known.keys.get(view, frozenset()) for view in asked))
    for name in sorted(needed - entities.keys()):
        told = f"entities lacks {name}, the key of {', '.join(sorted(v for v in asked if name in known.keys[v]))}"
        raise _refused(f"entities.{name}", told, f"add {name}: a list, one value per row", "missing_field")


def _check_entities(entities: dict[str, Any], known: Known) -> None:
    if not entities:
        remedy = 'such as {"app_id": ["demo"], "user_key": ["uk_…"]}'
        raise _refused("entities", "entities is empty", remedy, "missing_field")
    _check_columns("entities", entities)
    for name, values in entities.items():
        if not values:
            raise _refused(f"entities.{name}", "no value is given", "send at least one value")
        if len(values) > MAX_ENTITIES:
            raise _refused(f"entities.{name}", f"{len(values)} entities in one request", f"send at most {MAX_ENTITIES}")
        for index, value in enumerate(values):
            field = f"entities.{name}[{index}]"
            if known.key_types.get(name) == ValueType.STRING and (not isinstance(value, str) or not value):
                raise _refused(field, f"{field} is not a non-empty string", "send keys as strings")
            if isinstance(value, list | dict) or value is None:
                raise _refused(field, f"{field} is not a single value", "send one value per row")


def _check_columns(name: str, columns: dict[str, Any]) -> None:
    lengths = set()
    for column, values in columns.items():
        if not isinstance(values, list):
            raise _refused(f"{name}.{column}", f"{name}.{column} is not a list", "send a list: one value per row")
        lengths.add(len(values))
    if len(lengths) > 1:
        told = f"the lists of {name} have lengths {sorted(lengths)}"
        raise _refused(name, told, "send lists of the same length: one value per row")


def _written_to(body: dict[str, Any], known: Known) -> frozenset[str]:
    name = body["feature_view_name"]
    if name not in known.views:
        told = f"there is no view {name[:100]!r}"
        raise Problem(404, "Not found", told, "feature_view_name", _one_of(known.views), reason="unknown_view")
    if name in VIEWS:
        told = f"{name} is a tile view: only the stream writes it, through topic {VIEWS[name].topic}"
        raise _refused("feature_view_name", told, "send events to the collector, or write a plain view", "tile_view")
    return frozenset((name,))


def _check_rows(columns: dict[str, Any], views: frozenset[str], known: Known) -> None:
    if not any(columns.values()):
        raise _refused("df", "df has no row", "send a list of values per column", "missing_field")
    for view in sorted(views):
        for name in sorted({"event_timestamp"} | known.keys[view] | known.views[view].keys()):
            if name not in columns:
                told = f"df lacks {name}, which {view} needs"
                raise _refused(f"df.{name}", told, f"add {name}: a list, one value per row", "missing_field")
            kind = known.views[view].get(name)
            if kind in _FITS or known.key_types.get(name) == ValueType.STRING:
                fits, words = _FITS[kind] if kind is not None else (_name, "a non-empty string")
                for index, value in enumerate(columns[name]):
                    if not fits(value):
                        field = f"df.{name}[{index}]"
                        raise _refused(field, f"{field} is not {words}", f"send {words}")


def _pushed_to(body: dict[str, Any], known: Known) -> frozenset[str]:
    if body["push_source_name"] not in known.push_sources:
        told = f"there is no push source {body['push_source_name'][:100]!r}"
        raise Problem(404, "Not found", told, "push_source_name", _one_of(known.push_sources), reason="unknown_source")
    if body.get("to", "online") != "online":  # there is no offline store to push to yet
        raise _refused("to", "to is no place to push to", 'say "online", or leave it out')
    return known.push_sources[body["push_source_name"]]


def _one_of(names: Iterable[str]) -> str:
    return f"one of {', '.join(sorted(names))}"


def _refused(field: str, detail: str, remedy: str, reason: str = "bad_field") -> Problem:
    return Problem(422, "Not understood", detail, field, remedy, reason=reason)
