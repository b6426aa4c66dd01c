"""Everything that a night wrote for one app, as one hash per table: Delta, vectors, ClickHouse, the online store.

Times of writing (`as_of`) and versions named after them (`version`, `epoch`) are left out, and so is the app's own
name: nights over the same events of two apps, with names of one length, have equal hashes.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import pyarrow.parquet as pq

from foryou.features.definitions import VIEWS
from foryou.lake.delta_files import DeltaUnreadable, read
from foryou.lake.embedding_night import models
from foryou.lake.publish import published
from foryou.lake.tables import Lake
from foryou.lake.vector_version import KEYS, current
from foryou.service.settings import Settings

GOLD = ("trends", "embeddings_videos", "embeddings_users", "embeddings_creators")
CLICKHOUSE = ("events", "per_minute", "per_hour", "per_day", "trends")
TIMES_OF_WRITING = {"as_of", "version"}


def of_lake(lake: Lake, app: str) -> dict[str, str]:
    """table → hash of its rows, in whatever order they lie; the current vectors among them."""
    tables = {"bronze": lake.bronze, "events": lake.events, "clean": lake.clean, "content": lake.content}
    tables |= {f"tiles {view.full_name}": lake.tiles(view) for view in VIEWS.values()}
    tables |= {name: lake.gold(name) for name in GOLD}
    found = {name: _rows(_delta(Path(path)), app) for name, path in tables.items()}
    version = current(models(lake))
    for name in KEYS if version else ():
        file = models(lake) / str(version) / f"{name}.parquet"
        found[f"vectors of {name}"] = _rows(pq.read_table(file).to_pylist(), app)
    return found


def of_clickhouse(settings: Settings, app: str) -> dict[str, str]:
    """table or view → hash of the app's rows."""
    client = clickhouse_connect.get_client(
        host=settings.host, port=settings.ports["analytics"], username="analyst", autogenerate_session_id=False
    )
    found = {}
    for table in CLICKHOUSE:
        asked = f"SELECT * FROM {table} WHERE app_id = {{app:String}} FORMAT JSONEachRow"
        lines = client.raw_query(asked, parameters={"app": app}).splitlines()
        found[f"ClickHouse {table}"] = _rows([json.loads(line) for line in lines], app)
    return found


def of_store(settings: Settings, lake: Lake, app: str) -> dict[str, str]:
    """view → hash of what the store serves of everyone in the view's table of the lake."""
    found = {}
    with httpx.Client(base_url=settings.url("store"), timeout=10) as http:
        for view in filter(published, VIEWS.values()):
            entities = sorted({row[view.entity] for row in _delta(Path(lake.tiles(view)))})
            answers = [http.get(f"/tiles/{view.full_name}/{each}", params={"app_id": app}) for each in entities]
            told = [answer.json() for answer in answers if answer.status_code == 200]
            tiles = [[{**tile, "epoch": None} for tile in each["tiles"]] for each in told]
            rows = [{"entity": e[view.entity], "tiles": sorted(of, key=str)} for e, of in zip(told, tiles, strict=True)]
            found[f"store {view.full_name}"] = _rows(rows, app)
    return found


def _delta(table: Path) -> list[dict[str, Any]]:
    try:
        return list(read(table).to_pylist())
    except DeltaUnreadable:
        return []


def _rows(rows: Iterable[dict[str, Any]], app: str) -> str:
    lines = []
    for row in rows:
        kept = {name: value for name, value in row.items() if name not in TIMES_OF_WRITING}
        plain = {name: _plain(value, app) for name, value in kept.items()}
        lines.append(json.dumps(plain, default=str, sort_keys=True).replace(app, "APP"))
    lines.sort()
    return f"{len(lines)} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:16]}"


def _plain(value: Any, app: str) -> Any:
    return value.replace(app.encode(), b"APP").hex() if isinstance(value, bytes) else value
