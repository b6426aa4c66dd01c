"""The door: who knocks, what they bring, what they are told. Bytes in, gate, log, verdicts out."""

import base64
import binascii
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from foryou.collector.log.event_log import EventLog, LogRecord, LogUnavailable
from foryou.collector.split import Unsplittable, media_type, split
from foryou.contract.events import Lane
from foryou.contract.gate import Accepted, Gate, Refused
from foryou.service.metrics import Metrics
from foryou.service.problem import Problem, unavailable
from foryou.service.rsgi import Headers, Request, Response, json_response

REJECTED = "events.rejected.v1"
DEAD_LETTER_BYTES = 256 << 10  # of a refused body are kept; an accepted event has far fewer
UNKNOWN_LANE = "unknown"  # of what was refused before its event type could be read
_REMEDY_KEY = "send the app's write key as 'Authorization: Bearer <key>' or as the Basic user; `foryou status` shows it"


@dataclass(frozen=True)
class Verdicts:
    """What became of one body's events, in order, each with its bytes."""

    verdicts: list[Accepted | Refused]
    raws: list[bytes]


class Door:
    """Takes posts of one stack. `seal` is what happens to refused bytes before they are kept."""

    def __init__(
        self,
        write_keys: Mapping[str, str],
        gate: Gate,
        log: EventLog,
        metrics: Metrics,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        seal: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._write_keys = dict(write_keys)
        self._gate = gate
        self._log = log
        self._seal = seal
        self._clock_ms = clock_ms
        self._metrics = metrics
        self._authorized: dict[str, str] = {}  # header → app id; only good ones, so it stays small
        lanes = [*(lane.value for lane in Lane), UNKNOWN_LANE]
        self._counters = {
            what: {lane: metrics.counter(f"foryou_collector_{what}_total", lane=lane) for lane in lanes}
            for what in ("received", "accepted", "rejected", "limited")
        }
        self._turned_away = metrics.counter("foryou_collector_turned_away_total")
        self._ack_seconds = metrics.histogram("foryou_collector_ack_seconds")

    async def post_events(self, request: Request) -> Response:
        """POST /v1/events: one event, an array, or newline-delimited JSON."""
        app_id = self._app_of(request.headers)
        self.ready()
        now_ms = self._clock_ms()
        try:
            _refuse_encoding(request.headers)
            batch = split(request.body, request.headers.get("content-type") or "")
        except Unsplittable as whole:
            await self._refuse_whole(whole, request, app_id, now_ms)
            raise whole.problem from None
        check = self._gate.check
        checked = Verdicts([check(raw, app_id, now_ms) for raw in batch.events], batch.events)
        await self.settle(checked, app_id, request.path, now_ms)
        return _answer(checked.verdicts, single=batch.single)

    async def post_one(self, request: Request, make: Callable[[int], Mapping[str, Any] | Refused]) -> Response:
        """An event that a catalogue or account door makes of its path and body, given the time."""
        app_id = self._app_of(request.headers)
        self.ready()
        now_ms = self._clock_ms()
        try:
            _refuse_encoding(request.headers)
            media_type(request.headers.get("content-type") or "")
        except Unsplittable as whole:
            await self._refuse_whole(whole, request, app_id, now_ms)
            raise whole.problem from None
        made = make(now_ms)
        verdict = made if isinstance(made, Refused) else self._gate.check_object(made, app_id, now_ms)
        await self.settle(Verdicts([verdict], [request.body]), app_id, _door_of(request.path), now_ms)
        if isinstance(verdict, Refused):
            raise _problem(verdict)
        return json_response(202, {"event_id": verdict.event_id})

    async def settle(self, checked: Verdicts, app_id: str, door: str, now_ms: int) -> None:
        """Makes the verdicts durable, then counts them. Raises a 503 Problem, and then has counted none of them."""
        records = [
            LogRecord(verdict.lane, verdict.key, verdict.record)
            if isinstance(verdict, Accepted)
            else self._dead_letter(verdict, raw, app_id, door, now_ms)
            for verdict, raw in zip(checked.verdicts, checked.raws, strict=True)
        ]
        started = time.perf_counter()
        await self._append(records)
        self._ack_seconds.observe(time.perf_counter() - started)
        self._count(checked.verdicts)

    async def _refuse_whole(self, whole: Unsplittable, request: Request, app_id: str, now_ms: int) -> None:
        problem = whole.problem
        refused = Refused(problem.reason, problem.field, problem.detail, problem.remedy or "")
        await self._append([self._dead_letter(refused, request.body, app_id, _door_of(request.path), now_ms)])
        self._count([refused] * whole.count)

    async def _append(self, records: list[LogRecord]) -> None:
        try:
            await self._log.append(records)
        except LogUnavailable as error:
            self._turned_away.inc()
            raise unavailable(f"the events are not stored: {error}") from error

    def _dead_letter(self, refused: Refused, raw: bytes, app_id: str, door: str, now_ms: int) -> LogRecord:
        kept = "" if len(raw) <= DEAD_LETTER_BYTES else f" (first {DEAD_LETTER_BYTES:,} of {len(raw):,} bytes)"
        letter = {
            "rejected_at": now_ms,
            "app_id": app_id,
            "event_id": refused.event_id,
            "door": door,
            "reason": refused.reason,
            "field": refused.field,
            "detail": f"{refused.detail}; {refused.remedy}{kept}",
            "body": self._seal(raw[:DEAD_LETTER_BYTES]),
        }
        return LogRecord(REJECTED, app_id, letter)

    def _count(self, verdicts: list[Accepted | Refused]) -> None:
        told: dict[tuple[str, str], int] = {}
        for verdict in verdicts:
            of = ("accepted" if isinstance(verdict, Accepted) else "rejected", verdict.lane or UNKNOWN_LANE)
            told[of] = told.get(of, 0) + 1
        for (what, lane), count in told.items():
            self._counters["received"][lane].inc(count)
            self._counters[what][lane].inc(count)
        if any(what == "rejected" for what, _ in told):
            reasons = Counter(verdict.reason for verdict in verdicts if isinstance(verdict, Refused))
            for reason, count in reasons.items():
                self._metrics.counter("foryou_collector_refusals_total", reason=reason).inc(count)

    def ready(self) -> None:
        """Raises a 503 Problem while the log can take nothing; asked before a body is read, and once it was."""
        lacks = self._log.waiting_for()
        if lacks:
            self._turned_away.inc()
            raise unavailable(f"the collector waits for {', '.join(lacks)}", waiting_for=lacks)

    def _app_of(self, headers: Headers) -> str:
        header = headers.get("authorization") or ""
        app_id = self._authorized.get(header)
        if app_id is not None:
            return app_id
        app_id = self._write_keys.get(_key_in(header))
        if app_id is None:
            self._metrics.counter("foryou_collector_unauthorized_total").inc()
            said = "the write key is not known here" if header else "there is no write key"
            challenge = (("www-authenticate", 'Bearer realm="foryou", Basic realm="foryou"'),)
            raise Problem(
                401, "Unauthorized", said, "authorization", _REMEDY_KEY, reason="unauthorized", headers=challenge
            )
        if len(self._authorized) < 1_024:
            self._authorized[header] = app_id
        return app_id


def _key_in(header: str) -> str:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(), validate=True).decode("utf-8").partition(":")[0]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    return ""


def _refuse_encoding(headers: Headers) -> None:
    encoding = headers.get("content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        told = f"bodies in {encoding[:40]!r} are not taken"
        remedy = "send the body as it is, without Content-Encoding"
        raise Unsplittable(
            Problem(415, "Unsupported encoding", told, "content-encoding", remedy, reason="bad_encoding")
        )


def _answer(verdicts: list[Accepted | Refused], *, single: bool) -> Response:
    accepted = [verdict.event_id for verdict in verdicts if isinstance(verdict, Accepted)]
    if len(accepted) == len(verdicts):
        return json_response(202, {"accepted": len(accepted), "event_ids": accepted})
    if single and isinstance(verdicts[0], Refused):
        raise _problem(verdicts[0])
    results = [_result(index, verdict) for index, verdict in enumerate(verdicts)]
    if accepted:
        told = {"accepted": len(accepted), "rejected": len(verdicts) - len(accepted), "results": results}
        return json_response(207, told)
    refused = [verdict for verdict in verdicts if isinstance(verdict, Refused)]
    status = 400 if all(verdict.reason in _NOT_EVEN_JSON for verdict in refused) else 422
    raise Problem(
        status,
        "No event was accepted",
        f"all {len(verdicts)} events were refused; `results` says why, event by event",
        f"$[0].{refused[0].field}" if refused[0].field not in (None, "$") else "$[0]",
        refused[0].remedy,
        reason=refused[0].reason,
        accepted=0,
        rejected=len(verdicts),
        results=results,
    )


def _result(index: int, verdict: Accepted | Refused) -> dict[str, Any]:
    if isinstance(verdict, Accepted):
        return {"index": index, "status": "accepted", "event_id": verdict.event_id}
    return {
        "index": index,
        "status": "rejected",
        "event_id": verdict.event_id,
        "reason": verdict.reason,
        "field": verdict.field,
        "detail": verdict.detail,
        "remedy": verdict.remedy,
    }


_NOT_EVEN_JSON = frozenset(("not_json", "too_deep", "double_key"))


def _problem(refused: Refused) -> Problem:
    status = 400 if refused.reason in _NOT_EVEN_JSON else 422
    return Problem(
        status, "The event was refused", refused.detail, refused.field, refused.remedy, reason=refused.reason
    )


def _door_of(path: str) -> str:
    """The door's name without the ids in its path: /v1/users/u1 → /v1/users/…"""
    return "/".join(path.split("/")[:3]) + "/…" if path.count("/") > 2 else path
