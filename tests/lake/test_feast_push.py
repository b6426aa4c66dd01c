"""User vectors go through the store's own door and come back from Feast."""

import asyncio
from datetime import UTC, date, datetime

import httpx
import numpy as np
import pyarrow as pa
import pytest

from foryou.lake.feast_push import publish_to_feast
from foryou.lake.vector_version import VectorTables, publish, vector_table
from foryou.service.metrics import Metrics
from foryou.service.settings import Settings
from foryou.store.door import Door
from foryou.store.rows import MemoryRows
from foryou.store.serving import RegistryFollower, open_store, registry_path

DAY = date(2026, 11, 20)
NOON = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)
PEOPLE = 1_203  # more than two requests full


class InProcess(httpx.BaseTransport):
    """A synchronous client's way into an ASGI door."""

    def __init__(self, door):
        self.door, self.requests = door, 0

    def handle_request(self, request):
        async def asked():
            transport = httpx.ASGITransport(self.door, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://store") as client:
                headers = {"content-type": "application/json"}
                return await client.request(request.method, request.url.path, content=request.read(), headers=headers)

        self.requests += 1
        answer = asyncio.run(asked())
        if answer.status_code != 200:
            print(answer.text)
        return httpx.Response(answer.status_code, content=answer.content)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    rows, settings = MemoryRows(), Settings(home=tmp_path_factory.mktemp("home"))
    feast = open_store(settings, rows, lambda: NOON)
    follower = RegistryFollower(feast, registry_path(settings), rows)
    door = Door(feast, lambda: follower.known, rows, {}, list, Metrics(), lambda: NOON)
    transport = InProcess(door)
    return httpx.Client(transport=transport, base_url="http://store"), transport


def published(folder, day, first):
    keys = pa.table({"app_id": ["demo"] * PEOPLE, "user_key": [f"u{n:05}" for n in range(PEOPLE)]})
    users = vector_table(keys, "user_key", np.full((PEOPLE, 2), first, np.float32))
    nobody = [vector_table(pa.table({"app_id": [], key: []}), key, np.zeros((0, 2), np.float32)) for key in ("a", "b")]
    videos, creators = (table.rename_columns(["app_id", key, "vector"]) for table, key in zip(
        nobody, ("video_id", "creator_key"), strict=True))  # fmt: skip
    return publish(folder, VectorTables(day, 2, videos, users, creators), {}, {})


def read(client, user_key):
    asked = {
        "features": ["user_embedding_v1:vector", "user_embedding_v1:version"],
        "entities": {"app_id": ["demo"], "user_key": [user_key]},
    }
    answer = client.post("/get-online-features", json=asked).json()
    values = [result["values"][0] for result in answer["results"]]
    named = dict(zip(answer["metadata"]["feature_names"], values, strict=True))
    return [named["vector"], named["version"]]


def test_every_user_is_pushed_in_bounded_batches_and_an_older_day_does_not_win(store, tmp_path):
    client, transport = store
    version = published(tmp_path, DAY, 0.5)
    assert publish_to_feast(client, tmp_path, version) == PEOPLE
    assert transport.requests == 3
    assert read(client, "u01202") == [[0.5, 0.5], version]
    older = published(tmp_path, date(2026, 11, 19), 0.25)
    assert publish_to_feast(client, tmp_path, older) == PEOPLE
    assert read(client, "u00000") == [[0.5, 0.5], version]


def test_a_store_that_refuses_is_an_error(tmp_path):
    version = published(tmp_path, DAY, 0.5)
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(503)), base_url="http://store")
    with pytest.raises(httpx.HTTPStatusError):
        publish_to_feast(client, tmp_path, version)
