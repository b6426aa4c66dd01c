"""ClickHouse behind a URL: `http://user:password@host:8123`, its HTTP interface. Our own door is one, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import httpx

from foryou.analytics.engine import DATABASE, Result
from foryou.analytics.errors import QueryError


class Remote:
    """An Engine over HTTP. Raises QueryError, with code 210 (NETWORK_ERROR) when the server does not answer."""

    def __init__(self, url: str, *, timeout_s: float = 300.0) -> None:
        parts = urlsplit(url)
        self._url = f"{parts.scheme}://{parts.hostname}:{parts.port or 8123}/"
        headers = {"X-ClickHouse-User": unquote(parts.username or "default")}
        if parts.password:
            headers["X-ClickHouse-Key"] = unquote(parts.password)
        self._http = httpx.Client(timeout=timeout_s, headers=headers)

    def query(
        self,
        sql: str,
        *,
        format: str = "TabSeparated",
        params: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        database: str | None = DATABASE,
    ) -> Result:
        return self._post({"default_format": format}, sql.encode(), params, settings, database)

    def insert(
        self,
        head: str,
        data: bytes,
        *,
        format: str,
        params: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        database: str | None = DATABASE,
    ) -> Result:
        return self._post({"query": f"{head} FORMAT {format}"}, data, params, settings, database)

    def close(self) -> None:
        self._http.close()

    def _post(
        self,
        query: Mapping[str, str],
        body: bytes,
        params: Mapping[str, str] | None,
        settings: Mapping[str, str] | None,
        database: str | None,
    ) -> Result:
        asked = {**query, "wait_end_of_query": "1", **(settings or {})}
        asked |= {f"param_{name}": value for name, value in (params or {}).items()}
        if database:
            asked["database"] = database
        try:
            answer = self._http.post(self._url, params=asked, content=body)
        except httpx.HTTPError as error:
            raise QueryError(210, "NETWORK_ERROR", f"{self._url} does not answer: {error!r}") from error
        if answer.status_code != 200 or "x-clickhouse-exception-code" in answer.headers:
            raise QueryError.parse(answer.text or f"{self._url} answered {answer.status_code}")
        told = json.loads(answer.headers.get("x-clickhouse-summary", "{}"))
        numbers = ("read_rows", "read_bytes", "written_rows", "written_bytes", "result_rows", "elapsed_ns")
        return Result(answer.content, **{name: int(told.get(name, 0)) for name in numbers})
