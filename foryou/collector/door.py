"""The door: who knocks, what they bring, what they are told. Bytes in, gate, Kafka, verdicts out."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from foryou.collector.admission import Admission, Limited
from foryou.collector.letters import Letters, Origin, origin_of
from foryou.collector.producer import EventLog, LogRecord, LogUnavailable
from foryou.collector.split import Batch, Unsplittable, media_type, split
from foryou.contract.codec import Encoder, Record
from foryou.contract.events import Lane
from foryou.contract.gate import Accepted, Gate, Refused
from foryou.contract.topics import FLAGGED, REJECTED
from foryou.service.callers import Callers, require
from foryou.service.keys import Caller, Scope
from foryou.service.metrics import Metrics
from foryou.service.problem import Problem, limited, unavailable
from foryou.service.rsgi import Headers, Request, Response, json_response
from foryou.service.tokens import REPLAY

UNKNOWN_LANE = "unknown"  # of what was refused before its event type could be read


@dataclass(frozen=True)
class Verdicts:
    """What became of one body's events, in order, each with its bytes."""

    verdicts: list[Accepted | Refused]
    raws: list[bytes]


class Door:
    """Takes posts of one stack. `encoders` gives the Avro encoder of a topic once the registry has answered."""

    def __init__(
        self,
        callers: Callers,
        gate: Gate,
        log: EventLog,
        encoders: Callable[[], Mapping[str, Encoder] | None],
        metrics: Metrics,
        letters: Letters,
        admission: Admission | None = None,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._callers = callers
        self._letters = letters
        self._admission = admission or Admission()
        self._gate = gate
        self._log = log
        self._encoders = encoders
        self._clock_ms = clock_ms
        self._metrics = metrics
        lanes = [*(lane.value for lane in Lane), FLAGGED, UNKNOWN_LANE]
        self._counters = {
            what: {lane: metrics.counter(f"foryou_collector_{what}_total", lane=lane) for lane in lanes}
            for what in ("received", "accepted", "rejected", "limited")
        }
        self._turned_away = metrics.counter("foryou_collector_turned_away_total")
        self._ack_seconds = metrics.histogram("foryou_collector_ack_seconds")

    async def post_events(self, request: Request) -> Response:
        """POST /v1/events: one event, an array, or newline-delimited JSON."""
        caller = self._caller(request.headers)
        app_id, origin = caller.app_id, origin_of(request, caller)
        encoders = self._ready()
        now_ms = self._clock_ms()
        try:
            _refuse_encoding(request.headers)
            batch = _events(request, origin)
        except Unsplittable as whole:
            self._charge(caller, whole.count, now_ms)
            await self._refuse_whole(whole, request.body, app_id, origin, now_ms, encoders)
            raise whole.problem from None
        self._charge(caller, len(batch.events), now_ms)
        check, given = self._gate.check, origin.event_id
        seen = [check(raw, app_id, now_ms, given(index)) for index, raw in enumerate(batch.events)]
        agent: str | None = request.headers.get("user-agent")
        judged = self._admission.flagged(self._admission.by_device(seen), caller, agent)
        checked = Verdicts(judged, batch.events)
        await self.settle(checked, app_id, origin, now_ms, encoders)
        return _answer(checked.verdicts, single=batch.single)

    async def post_one(self, request: Request, make: Callable[[int], Mapping[str, Any] | Refused]) -> Response:
        """An event that a catalogue or account door makes of its path and body, given the time."""
        caller = self._caller(request.headers)
        app_id, origin = caller.app_id, origin_of(request, caller)
        encoders = self._ready()
        now_ms = self._clock_ms()
        try:
            _refuse_encoding(request.headers)
            media_type(request.headers.get("content-type") or "")
        except Unsplittable as whole:
            self._charge(caller, 1, now_ms)
            await self._refuse_whole(whole, request.body, app_id, origin, now_ms, encoders)
            raise whole.problem from None
        self._charge(caller, 1, now_ms)
        made = make(now_ms)
        given = origin.event_id(0)
        seen = made if isinstance(made, Refused) else self._gate.check_object(made, app_id, now_ms, given)
        (verdict,) = self._admission.by_device([seen])
        await self.settle(Verdicts([verdict], [request.body]), app_id, origin, now_ms, encoders)
        if isinstance(verdict, Refused):
            raise _problem(verdict)
        return json_response(202, {"event_id": verdict.event_id})

    async def settle(
        self, checked: Verdicts, app_id: str, origin: Origin, now_ms: int, encoders: Mapping[str, Encoder]
    ) -> None:
        """Makes the verdicts durable, then counts them. Raises a 503 Problem, and then has counted none of them.

        A dead letter that is refused again stays the letter that it is: no second one, and nothing counted twice.
        """
        if origin.replay_of is not None and not any(isinstance(verdict, Accepted) for verdict in checked.verdicts):
            return
        records: list[LogRecord] = []
        letters: list[LogRecord] = []
        for verdict, raw in zip(checked.verdicts, checked.raws, strict=True):
            if isinstance(verdict, Accepted):
                topic, record = _where(verdict)
                records.append(LogRecord(topic, verdict.key, encoders[topic](record)))
            elif not isinstance(verdict, Limited):
                letters.append(self._letters.letter(verdict, raw, app_id, origin, now_ms, encoders[REJECTED]))
        started = time.perf_counter()
        if not records and not letters:
            self._count(checked.verdicts)
            return
        try:
            await self._log.append([*records, *letters])
        except LogUnavailable as error:
            self._turned_away.inc()
            raise unavailable(f"the events are not stored: {error}") from error
        self._ack_seconds.observe(time.perf_counter() - started)
        self._count(checked.verdicts)

    async def _refuse_whole(
        self,
        whole: Unsplittable,
        body: bytes,
        app_id: str,
        origin: Origin,
        now_ms: int,
        encoders: Mapping[str, Encoder],
    ) -> None:
        if origin.replay_of is not None:
            return
        problem = whole.problem
        refused = Refused(problem.reason, problem.field, problem.detail, problem.remedy or "")
        letter = self._letters.letter(refused, body, app_id, origin, now_ms, encoders[REJECTED], whole=True)
        try:
            await self._log.append([letter])
        except LogUnavailable as error:
            self._turned_away.inc()
            raise unavailable(f"the events are not stored: {error}") from error
        self._count([refused] * whole.count)

    def _count(self, verdicts: list[Accepted | Refused]) -> None:
        told = Counter((_what(verdict), _lane(verdict)) for verdict in verdicts)
        for (what, lane), count in told.items():
            self._counters["received"][lane].inc(count)
            self._counters[what][lane].inc(count)
        for reason, count in Counter(verdict.reason for verdict in verdicts if isinstance(verdict, Refused)).items():
            self._metrics.counter("foryou_collector_refusals_total", reason=reason).inc(count)
        for verdict in verdicts:
            if isinstance(verdict, Accepted) and (verdict.flags or verdict.removed):
                for flag in verdict.flags.split(",") if verdict.flags else ():
                    self._metrics.counter("foryou_collector_flagged_total", flag=flag).inc()
                for rule in verdict.removed:
                    self._metrics.counter("foryou_collector_removed_properties_total", rule=rule).inc()

    def _charge(self, caller: Caller, events: int, now_ms: int) -> None:
        """Raises a 429 Problem for a key that sends too much; its events were not looked at: their lane is unknown."""
        try:
            self._admission.charge(caller, events, now_ms)
        except Problem:
            for what in ("received", "limited"):
                self._counters[what][UNKNOWN_LANE].inc(events)
            self._metrics.counter("foryou_http_limited_total", by="key").inc()
            raise

    def _ready(self) -> Mapping[str, Encoder]:
        encoders = self._encoders()
        lacks = ["registry"] if encoders is None else self._log.waiting_for()
        if encoders is None or lacks:
            self._turned_away.inc()
            raise unavailable(f"the collector waits for {', '.join(lacks)}", waiting_for=lacks)
        return encoders

    def _caller(self, headers: Headers) -> Caller:
        """Who posts, and may. Raises a 401 or 403 Problem."""
        try:
            return require(self._callers.authenticate(headers, REPLAY), Scope.EVENTS_WRITE)
        except Problem:
            self._metrics.counter("foryou_collector_unauthorized_total").inc()
            raise


def _what(verdict: Accepted | Refused) -> str:
    return "accepted" if isinstance(verdict, Accepted) else "limited" if isinstance(verdict, Limited) else "rejected"


def _lane(verdict: Accepted | Refused) -> str:
    if isinstance(verdict, Accepted) and verdict.flags is not None:
        return FLAGGED
    return verdict.lane or UNKNOWN_LANE


def _where(verdict: Accepted) -> tuple[str, Record]:
    if verdict.flags is None:
        return verdict.lane.value, verdict.record
    return FLAGGED, {**verdict.record, "flags": verdict.flags}


def _events(request: Request, origin: Origin) -> Batch:
    if origin.one_event:
        return Batch([request.body], single=True)
    return split(request.body, request.headers.get("content-type") or "")


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
        limited_ones = sum(isinstance(verdict, Limited) for verdict in verdicts)
        told = {"accepted": len(accepted), "rejected": len(verdicts) - len(accepted) - limited_ones, "results": results}
        return json_response(207, {**told, "limited": limited_ones} if limited_ones else told)
    refused = [verdict for verdict in verdicts if isinstance(verdict, Refused)]
    waits = [verdict.retry_after_s for verdict in refused if isinstance(verdict, Limited)]
    if waits:  # the others would be refused again: what can pass later decides
        raise limited("this device sends too many events a second", max(waits), accepted=0, results=results)
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
        "status": "limited" if isinstance(verdict, Limited) else "rejected",
        "event_id": verdict.event_id,
        "reason": verdict.reason,
        "field": verdict.field,
        "detail": verdict.detail,
        "remedy": verdict.remedy,
    }


_NOT_EVEN_JSON = frozenset(("not_json", "too_deep", "double_key"))


def _problem(refused: Refused) -> Problem:
    if isinstance(refused, Limited):
        return limited(refused.detail, refused.retry_after_s)
    status = 400 if refused.reason in _NOT_EVEN_JSON else 422
    return Problem(
        status, "The event was refused", refused.detail, refused.field, refused.remedy, reason=refused.reason
    )
