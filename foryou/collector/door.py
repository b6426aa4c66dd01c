"""The door: who knocks, what they bring, what they are told. Bytes in, gate, log, verdicts out."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from foryou.collector.admission import Admission, Limited
from foryou.collector.letters import Letters, Origin, origin_of
from foryou.collector.log.event_log import EventLog, LogRecord, LogUnavailable
from foryou.collector.protocols import cloudevents
from foryou.collector.protocols.answers import problem_of, verdict_each
from foryou.collector.protocols.cloudevents import CLOUDEVENTS
from foryou.collector.protocols.plain import PLAIN
from foryou.collector.protocols.shape import Arrived, Parcel, Protocol
from foryou.collector.split import Unsplittable, media_type
from foryou.collector.unpack import unpack
from foryou.contract.codec import Record
from foryou.contract.events import Lane
from foryou.contract.gate import Accepted, Gate, Refused
from foryou.contract.topics import FLAGGED
from foryou.service.callers import WHERE_KEYS_ARE, Callers, require
from foryou.service.keys import Caller, Scope
from foryou.service.metrics import Metrics
from foryou.service.problem import Problem, limited, unavailable
from foryou.service.tokens import REPLAY
from foryou.service.web import Headers, Request, Response, json_response

MAX_QUERY = 8 << 10  # of a query are searched for a write key
UNKNOWN_LANE = "unknown"  # of what was refused before its event type could be read


@dataclass(frozen=True)
class Verdicts:
    """What became of one body's events, in order, each with its bytes."""

    verdicts: list[Accepted | Refused]
    raws: list[bytes]


class Door:
    """Takes posts of one stack."""

    def __init__(
        self,
        callers: Callers,
        gate: Gate,
        log: EventLog,
        metrics: Metrics,
        letters: Letters,
        admission: Admission | None = None,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._callers = callers
        self._gate = gate
        self._log = log
        self._metrics = metrics
        self._letters = letters
        self._admission = admission or Admission()
        self._clock_ms = clock_ms
        lanes = [*(lane.value for lane in Lane), FLAGGED, UNKNOWN_LANE]
        self._counters = {
            what: {lane: metrics.counter(f"foryou_collector_{what}_total", lane=lane) for lane in lanes}
            for what in ("received", "accepted", "rejected", "limited")
        }
        self._dead_letters = metrics.counter("foryou_collector_dead_letters_total")
        self._turned_away = metrics.counter("foryou_collector_turned_away_total")
        self._ack_seconds = metrics.histogram("foryou_collector_ack_seconds")

    async def post_events(self, request: Request) -> Response:
        """POST /v1/events: one event, an array, newline-delimited JSON, or CloudEvents in any mode."""
        return await self.post(CLOUDEVENTS if cloudevents.speaks(request.headers) else PLAIN, request)

    async def post(self, protocol: Protocol, request: Request) -> Response:
        """Events in the way of a protocol; what is refused is told in its way, too."""
        try:
            return await self._post(protocol, request)
        except Problem as problem:
            raise protocol.refuse(problem) from None

    async def _post(self, protocol: Protocol, request: Request) -> Response:
        headers = _with_key(request.headers, request.query_string)
        caller = None if protocol.key_in is not None and not headers.get("authorization") else self._caller(headers)
        self.ready()
        now_ms = self._clock_ms()
        origin = None if caller is None else origin_of(request, caller, protocol.kept_as)
        try:
            parcel = _parcel(protocol, request, origin, now_ms)
        except Unsplittable as whole:
            if caller is not None and origin is not None:  # whose it was is known: it is kept
                self._charge(caller, whole.count, now_ms)
                await self._refuse_whole(whole, request.body, caller.app_id, origin, now_ms)
            raise whole.problem from None
        if caller is None or origin is None:
            caller = self._caller_by(parcel.key, protocol.key_in)
            origin = origin_of(request, caller, protocol.kept_as)
        self._charge(caller, len(parcel.events), now_ms)
        verdicts = self._verdicts(parcel, caller, origin, request.headers, now_ms)
        # Who replays hears what became of each letter, whatever the protocol's clients are told.
        answer = protocol.answer if origin.replay_of is None else verdict_each
        waits = [verdict.retry_after_s for verdict in verdicts if isinstance(verdict, Limited)]
        if waits and answer is not verdict_each:  # it cannot say which: none is taken, all come again
            self._count_limited(len(verdicts))
            raise limited("this device sends too many events a second", max(waits))
        await self.settle(Verdicts(verdicts, parcel.originals), caller.app_id, origin, now_ms)
        return answer(verdicts, parcel.single)

    def _verdicts(
        self, parcel: Parcel, caller: Caller, origin: Origin, headers: Headers, now_ms: int
    ) -> list[Accepted | Refused]:
        check, given, app_id = self._gate.check, origin.event_id, caller.app_id
        seen = [
            event if isinstance(event, Refused) else check(event, app_id, now_ms, given(index))
            for index, event in enumerate(parcel.events)
        ]
        agent: str | None = headers.get("user-agent")
        return self._admission.flagged(self._admission.by_device(seen), caller, agent, origin.replay_of is None)

    async def post_one(self, request: Request, make: Callable[[bytes, int], Mapping[str, Any] | Refused]) -> Response:
        """An event that a catalogue or account door makes of its path and body, given the body and the time."""
        caller = self._caller(request.headers)
        app_id, origin = caller.app_id, origin_of(request, caller)
        self.ready()
        now_ms = self._clock_ms()
        self._charge(caller, 1, now_ms)
        try:
            media_type(request.headers.get("content-type") or "")
            body = unpack(request.body, request.headers.get("content-encoding"))
        except Unsplittable as whole:
            await self._refuse_whole(whole, request.body, app_id, origin, now_ms)
            raise whole.problem from None
        made, given = make(body, origin.at_ms or now_ms), origin.event_id(0)
        seen = made if isinstance(made, Refused) else self._gate.check_object(made, app_id, now_ms, given)
        (verdict,) = self._admission.by_device([seen])
        await self.settle(Verdicts([verdict], [body]), app_id, origin, now_ms)
        if isinstance(verdict, Refused):
            raise problem_of(verdict)
        return json_response(202, {"event_id": verdict.event_id})

    async def settle(self, checked: Verdicts, app_id: str, origin: Origin, now_ms: int) -> None:
        """Makes the verdicts durable, then counts them. Raises a 503 Problem, and then has counted none of them.

        A dead letter that is refused again stays the letter that it is: no second one, and nothing counted twice.
        """
        if origin.replay_of is not None and not any(isinstance(verdict, Accepted) for verdict in checked.verdicts):
            return
        records = [
            _record(verdict)
            if isinstance(verdict, Accepted)
            else self._letters.letter(verdict, raw, app_id, origin, now_ms)
            for verdict, raw in zip(checked.verdicts, checked.raws, strict=True)
            if not isinstance(verdict, Limited)
        ]
        started = time.perf_counter()
        if records:
            await self._append(records)
            self._ack_seconds.observe(time.perf_counter() - started)
        self._count(checked.verdicts)

    async def _refuse_whole(self, whole: Unsplittable, body: bytes, app_id: str, origin: Origin, now_ms: int) -> None:
        if origin.replay_of is not None:
            return
        problem = whole.problem
        refused = Refused(problem.reason, problem.field, problem.detail, problem.remedy or "")
        await self._append([self._letters.letter(refused, body, app_id, origin, now_ms, whole=True)])
        self._count([refused] * whole.count, letters=1)

    async def _append(self, records: list[LogRecord]) -> None:
        try:
            await self._log.append(records)
        except LogUnavailable as error:
            self._turned_away.inc()
            raise unavailable(f"the events are not stored: {error}") from error

    def _count(self, verdicts: list[Accepted | Refused], letters: int | None = None) -> None:
        """`letters`: how many dead letters were written, where it is not one for each event that was refused."""
        # A post of one sound event is what phones send most; the general way is a twentieth of what the post costs.
        if len(verdicts) == 1 and isinstance(only := verdicts[0], Accepted) and only.flags is None and not only.removed:
            self._counters["received"][only.lane].inc()
            self._counters["accepted"][only.lane].inc()
            return
        told = Counter((_what(verdict), _lane(verdict)) for verdict in verdicts)
        for (what, lane), count in told.items():
            self._counters["received"][lane].inc(count)
            self._counters[what][lane].inc(count)
        refused = sum(count for (what, _), count in told.items() if what == "rejected")
        self._dead_letters.inc(refused if letters is None else letters)
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
            self._count_limited(events)
            self._metrics.counter("foryou_http_limited_total", by="key").inc()
            raise

    def _count_limited(self, events: int) -> None:
        for what in ("received", "limited"):
            self._counters[what][UNKNOWN_LANE].inc(events)

    def ready(self) -> None:
        """Raises a 503 Problem while the log can take nothing; asked before a body is read, and once it was."""
        lacks = self._log.waiting_for()
        if lacks:
            self._turned_away.inc()
            raise unavailable(f"the collector waits for {', '.join(lacks)}", waiting_for=lacks)

    def _caller(self, headers: Headers) -> Caller:
        """Who posts, and may. Raises a 401 or 403 Problem."""
        try:
            return require(self._callers.authenticate(headers, REPLAY), Scope.EVENTS_WRITE)
        except Problem:
            self._metrics.counter("foryou_collector_unauthorized_total").inc()
            raise

    def _caller_by(self, key: str | None, member: str | None) -> Caller:
        """Who posts, by the key of the body. Raises a 401 or 403 Problem."""
        try:
            return self._caller({"authorization": f"Bearer {key}"} if key else {})
        except Problem as refused:
            if refused.status == 401 and member is not None:
                refused.field = member
                header = "'Authorization: Bearer <key>'"
                refused.remedy = f"send the app's write key as {member}, {header} or the Basic user; {WHERE_KEYS_ARE}"
            raise


def _parcel(protocol: Protocol, request: Request, origin: Origin | None, now_ms: int) -> Parcel:
    """The events of a request; of a replayed dead letter the one that it was, at the time of its refusal unless it says
    its own. Raises Unsplittable.
    """
    body = unpack(request.body, request.headers.get("content-encoding"))
    then_ms = now_ms if origin is None or origin.at_ms is None else origin.at_ms
    if origin is not None and origin.one_event:
        return Parcel([protocol.again(body, then_ms)], [body], single=True)
    return protocol.read(Arrived(request.headers, request.query_string, body, then_ms))


def _with_key(headers: Headers, query_string: str) -> Headers:
    """The headers, with the write key of the query where they have none: a browser's beacon cannot set a header."""
    if headers.get("authorization") or "write_key=" not in query_string:
        return headers
    said = parse_qs(query_string[:MAX_QUERY], keep_blank_values=False).get("write_key")
    return {"authorization": f"Bearer {said[-1]}"} if said else headers


def _what(verdict: Accepted | Refused) -> str:
    return "accepted" if isinstance(verdict, Accepted) else "limited" if isinstance(verdict, Limited) else "rejected"


def _lane(verdict: Accepted | Refused) -> str:
    if isinstance(verdict, Accepted) and verdict.flags is not None:
        return FLAGGED
    return verdict.lane or UNKNOWN_LANE


def _record(verdict: Accepted) -> LogRecord:
    record: Record = verdict.record if verdict.flags is None else {**verdict.record, "flags": verdict.flags}
    return LogRecord(_lane(verdict), verdict.key, record)
