"""The registry holds the contract: only what old and new readers and writers all understand gets in."""

import copy
import uuid
from typing import Any

import httpx
import pytest

from foryou.contract.codec import Registry
from foryou.contract.schemas import schema


@pytest.fixture
def subject(stack: Any) -> tuple[Registry, str]:
    registry, name = Registry(stack.settings.registry_url), f"tests.{uuid.uuid4()}-value"
    registry.register(name, schema("event"))
    return registry, name


def changed(change: Any) -> dict[str, Any]:
    event = copy.deepcopy(schema("event"))
    change(event["fields"])
    return event


def test_a_field_with_a_default_may_be_added(subject: tuple[Registry, str]) -> None:
    registry, name = subject
    first = registry.register(name, schema("event"))
    added = changed(lambda fields: fields.append({"name": "mood", "type": ["null", "string"], "default": None}))
    assert registry.register(name, added) != first


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda fields: fields.append({"name": "mood", "type": "string"}), id="a field without default"),
        pytest.param(lambda fields: fields.remove(fields[0]), id="a required field gone"),
        pytest.param(lambda fields: fields[0].update(type="long"), id="another type"),
    ],
)
def test_what_would_break_a_reader_is_refused(subject: tuple[Registry, str], change: Any) -> None:
    registry, name = subject
    with pytest.raises(httpx.HTTPStatusError) as refused:
        registry.register(name, changed(change))
    assert refused.value.response.status_code == 409
