"""What only the writer may ask of the process itself: replace a day, hash a day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Any

from foryou.analytics import request
from foryou.analytics.access import WRITER, Access
from foryou.analytics.engine import Engine
from foryou.analytics.errors import QueryError
from foryou.analytics.loader.source import SourceUnavailableError
from foryou.analytics.nightly import Nightly, NothingToReplaceError, row_hash
from foryou.service.problem import Problem
from foryou.service.web import Request, Response, Router, json_response

HASHED = ("events", "per_minute", "per_hour", "per_day", "trends", "parity", "served")


class Admin:
    """POST /admin/replace?day=…&cut_off=<UTC ms> and GET /admin/hash?table=…&day=…"""

    def __init__(self, engine: Engine, nightly: Nightly, access: Access) -> None:
        self._engine, self._nightly, self._access = engine, nightly, access

    def add_to(self, router: Router) -> None:
        """Adds both paths."""
        router.add("POST", "/admin/replace", self.replace, max_body=0)
        router.add("GET", "/admin/hash", self.hash, max_body=0)

    async def replace(self, asked: Request) -> Response:
        """Replaces a day; answers table → rows when it is done. Safe to send again."""
        day, query = self._checked(asked)
        cut_off = query.get("cut_off", "")
        if not cut_off.isdecimal():
            raise Problem(400, "Bad request", "cut_off is UTC milliseconds", "cut_off", reason="bad_parameter")
        rows = await _in_thread(lambda: self._nightly.replace(day, int(cut_off)))
        return json_response(200, {"day": day.isoformat(), "cut_off": int(cut_off), "rows": rows})

    async def hash(self, asked: Request) -> Response:
        """Rows and their hash, for one table (`table`) or all."""
        day, query = self._checked(asked)
        tables = [query["table"]] if "table" in query else list(HASHED)
        if not set(tables) <= set(HASHED):
            told = f"one of {', '.join(HASHED)}"
            raise Problem(400, "Bad request", "no such table", "table", told, reason="bad_parameter")
        found = await _in_thread(lambda: {table: row_hash(self._engine, table, day) for table in tables})
        return json_response(200, found)

    def _checked(self, asked: Request) -> tuple[date, dict[str, str]]:
        try:
            ask = request.parse(asked.query_string, asked.headers, b"SELECT 1")
            writer = self._access.user(ask) == WRITER
        except QueryError:
            writer = False
        if not writer:
            told = "this needs user writer and its key (secrets/clickhouse.key)"
            raise Problem(403, "Forbidden", told, "authorization", reason="not_the_writer")
        query = asked.query()
        try:
            return date.fromisoformat(query.get("day", "")), query
        except ValueError:
            raise Problem(400, "Bad request", "day is YYYY-MM-DD", "day", reason="bad_parameter") from None


async def _in_thread(run: Callable[[], Any]) -> Any:
    try:
        return await asyncio.get_running_loop().run_in_executor(None, run)
    except NothingToReplaceError as error:
        told = "let the nightly run publish the day first"
        raise Problem(404, "Not found", str(error), "day", told, reason="not_published") from error
    except SourceUnavailableError as error:
        told = "send it again when /healthz says ok"
        raise Problem(503, "Not available", f"waiting for {error}", remedy=told, reason="unavailable") from error
    except QueryError as error:
        raise Problem(502, "ClickHouse error", str(error)[:2_000], reason=error.name.lower()) from error
