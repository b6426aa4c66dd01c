"""ClickHouse's HTTP interface over an Engine: `/`, `/ping`, and the answers that its stock clients expect.

An answer is complete before its first byte goes out (`wait_end_of_query=1` of a server), so that an error always has
its own status. Results are bounded (`max_result_bytes`), and so is how long and how large a query may get.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from foryou.analytics import request
from foryou.analytics.access import ANALYST, Access
from foryou.analytics.engine import Engine, Result, literal
from foryou.analytics.errors import QueryError
from foryou.analytics.request import Ask
from foryou.service.metrics import Metrics
from foryou.service.web import Request, Response, Router

log = logging.getLogger(__name__)

MAX_BODY = 256 << 20
WORKERS = 4  # queries side by side: more would only share the same two cores
WAITING = 64  # queries that may wait for a worker
PARSE = "EXPLAIN AST "
REWRITE = "formatQuerySingleLine"
PACK_FROM = 1_024  # bytes; less is not worth packing
_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Arrow": "application/vnd.apache.arrow.file",
    "ArrowStream": "application/vnd.apache.arrow.stream",
    "Parquet": "application/vnd.apache.parquet",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
}


class Door:
    """Answers queries. `close` waits for those under way."""

    def __init__(self, engine: Engine, access: Access, metrics: Metrics) -> None:
        self._engine, self._access, self._metrics = engine, access, metrics
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="query")
        self._under_way = 0

    def add_to(self, router: Router) -> None:
        """Adds the interface's paths."""
        for path in ("/", "/query"):
            router.add("GET", path, self.answer, max_body=MAX_BODY)
            router.add("POST", path, self.answer, max_body=MAX_BODY)
            router.add("HEAD", path, _ping, max_body=0)
        router.add("GET", "/ping", _ping, max_body=0)
        router.add("HEAD", "/ping", _ping, max_body=0)
        router.add("GET", "/replicas_status", _ping, max_body=0)

    def close(self) -> None:
        """Ends the workers."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def answer(self, asked: Request) -> Response:
        """One statement. A ClickHouse error is an answer, with its code and text."""
        if asked.method == "GET" and not asked.query_string and not asked.body:
            return await _ping(asked)
        query_id = str(uuid.uuid4())
        try:
            return await self._in_worker(lambda: self._run(asked, query_id))
        except QueryError as error:
            self._metrics.counter("foryou_analytics_query_errors_total", error=error.name).inc()
            return _failure(error, query_id)

    async def _in_worker(self, run: Callable[[], Response]) -> Response:
        if self._under_way >= WORKERS + WAITING:
            told = f"Too many simultaneous queries. Maximum: {WORKERS + WAITING}"
            raise QueryError(202, "TOO_MANY_SIMULTANEOUS_QUERIES", told)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, run)
        finally:
            self._under_way -= 1

    def _run(self, asked: Request, query_id: str) -> Response:
        ask = request.parse(asked.query_string, asked.headers, asked.body)
        user = self._access.user(ask)
        written = ask.sql
        if user == ANALYST and ask.data is None:
            written = _written_by(self._engine, ask.sql)
        settings = self._access.settings(ask, user)
        if user == ANALYST:
            self._access.judge(written, ask)
        begin = time.perf_counter()
        result = _execute(self._engine, ask, settings)
        self._metrics.counter("foryou_analytics_queries_total", user=user).inc()
        self._metrics.histogram("foryou_analytics_query_seconds", user=user).observe(time.perf_counter() - begin)
        return _success(ask, result, ask.query_id or query_id, asked.headers.get("accept-encoding"), user)


def _written_by(engine: Engine, sql: str) -> str:
    """The statement as the engine has understood it: keywords in capitals, its own quotes, no comments. Raises the
    parser's QueryError for a slip of the pen, which is told as one, whatever else would be refused."""
    size = {"max_query_size": str(4 * len(sql) + 1_000), "readonly": "2"}
    try:
        found = engine.query(f"SELECT {REWRITE}({literal(sql)})", format="RawBLOB", settings=size)
    except QueryError:
        try:
            engine.query(f"{PARSE}{sql}", settings=size)
        except QueryError as error:
            raise error.behind(PARSE) from None
        raise
    return found.data.decode("utf-8", "surrogateescape")


def _execute(engine: Engine, ask: Ask, settings: dict[str, str]) -> Result:
    if ask.data is not None and ask.statement.format is not None:
        head, format_name = ask.sql, ask.statement.format
        return engine.insert(
            head, ask.data, format=format_name, params=ask.params, settings=settings, database=ask.database
        )
    return engine.query(ask.sql, format=ask.default_format, params=ask.params, settings=settings, database=ask.database)


def _success(ask: Ask, result: Result, query_id: str, accepts: str | None, user: str) -> Response:
    headers = [
        ("X-ClickHouse-Query-Id", query_id),
        ("X-ClickHouse-Format", ask.format),
        ("X-ClickHouse-Timezone", "UTC"),
        ("X-ClickHouse-Server-Display-Name", f"foryou ({user})"),
        ("X-ClickHouse-Summary", json.dumps(result.summary)),
    ]
    data = result.data
    if ask.compress and len(data) >= PACK_FROM:
        data, encoding = request.deflate(data, accepts)
        headers += [("Content-Encoding", encoding)] if encoding else []
    return Response(200, data, _TYPES.get(ask.format, "text/plain; charset=UTF-8"), tuple(headers))


def _failure(error: QueryError, query_id: str) -> Response:
    headers = [
        ("X-ClickHouse-Query-Id", query_id),
        ("X-ClickHouse-Exception-Code", str(error.code)),
        ("X-ClickHouse-Server-Display-Name", f"foryou ({ANALYST})"),
    ]
    if error.status == 401:
        headers.append(("WWW-Authenticate", 'Basic realm="ClickHouse"'))
    return Response(error.status, f"{error}\n".encode(), "text/plain; charset=UTF-8", tuple(headers))


async def _ping(_: Request) -> Response:
    return Response(200, b"Ok.\n", "text/html; charset=UTF-8")
