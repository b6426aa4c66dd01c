"""The door: who knocks, what they bring, what they are told. Bytes in, gate, Kafka, verdicts out."""

import base64
import binascii
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from foryou.collector.producer import EventLog, LogRecord, LogUnavailable
from foryou.collector.protocols import cloudevents
from foryou.collector.protocols.answers import problem_of
from foryou.collector.protocols.cloudevents import CLOUDEVENTS
from foryou.collector.protocols.plain import PLAIN
from foryou.collector.protocols.shape import Arrived, Protocol
from foryou.collector.split import Unsplittable, media_type
from foryou.collector.unpack import unpack
from foryou.contract.codec import Encoder
from foryou.contract.events import Lane
from foryou.contract.gate import Accepted, Gate, Refused
from foryou.service.metrics import Metrics
from foryou.service.problem import Problem, unavailable
from foryou.service.rsgi import Headers, Request, Response, json_response

REJECTED = "events.rejected.v1"
DEAD_LETTER_BYTES = 256 << 10  # of a refused body are kept; an accepted event has far fewer
MAX_QUERY = 8 << 10  # of a query are searched for a write key
UNKNOWN_LANE = "unknown"  # of what was refused before its event type could be read
_REMEDY_KEY = (
    "send the app's write key as 'Authorization: Bearer <key>', as the Basic user, or as ?write_key=<key>; "
    "`foryou status` shows it"
)


@dataclass(frozen=True)
class Verdicts:
    """What became of one body's events, in order, each with its bytes."""

    verdicts: list[Accepted | Refused]
    raws: list[bytes]


class Door:
    """Takes posts of one stack. `encoders` gives the Avro encoder of a topic once the registry has answered."""

    def __init__(
        self,
        write_keys: Mapping[str, str],
        gate: Gate,
        log: EventLog,
        encoders: Callable[[], Mapping[str, Encoder] | None],
        metrics: Metrics,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._write_keys = dict(write_keys)
        self._gate = gate
        self._log = log
        self._encoders = encoders
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
        late = protocol.key_in_body and not headers.get("authorization")
        app_id = None if late else self._app_of(headers)
        encoders = self._ready()
        now_ms = self._clock_ms()
        try:
            body = unpack(request.body, request.headers.get("content-encoding"))
            parcel = protocol.read(Arrived(request.headers, request.query_string, body, now_ms))
        except Unsplittable as whole:
            if app_id is not None:  # whose it was is known: it is kept
                await self._refuse_whole(whole, request, app_id, now_ms, encoders)
            raise whole.problem from None
        if app_id is None:
            app_id = self._app_of({"authorization": f"Bearer {parcel.key}"} if parcel.key else {})
        check = self._gate.check
        verdicts = [event if isinstance(event, Refused) else check(event, app_id, now_ms) for event in parcel.events]
        await self.settle(Verdicts(verdicts, parcel.originals), app_id, protocol.door or request.path, now_ms, encoders)
        return protocol.answer(verdicts, parcel.single)

    async def post_one(self, request: Request, make: Callable[[bytes, int], Mapping[str, Any] | Refused]) -> Response:
        """An event that a catalogue or account door makes of its path and body, given the body and the time."""
        app_id = self._app_of(request.headers)
        encoders = self._ready()
        now_ms = self._clock_ms()
        try:
            media_type(request.headers.get("content-type") or "")
            body = unpack(request.body, request.headers.get("content-encoding"))
        except Unsplittable as whole:
            await self._refuse_whole(whole, request, app_id, now_ms, encoders)
            raise whole.problem from None
        made = make(body, now_ms)
        verdict = made if isinstance(made, Refused) else self._gate.check_object(made, app_id, now_ms)
        await self.settle(Verdicts([verdict], [body]), app_id, _door_of(request.path), now_ms, encoders)
        if isinstance(verdict, Refused):
            raise problem_of(verdict)
        return json_response(202, {"event_id": verdict.event_id})

    async def settle(
        self, checked: Verdicts, app_id: str, door: str, now_ms: int, encoders: Mapping[str, Encoder]
    ) -> None:
        """Makes the verdicts durable, then counts them. Raises a 503 Problem, and then has counted none of them."""
        records: list[LogRecord] = []
        letters: list[LogRecord] = []
        for verdict, raw in zip(checked.verdicts, checked.raws, strict=True):
            if isinstance(verdict, Accepted):
                lane = verdict.lane.value
                records.append(LogRecord(lane, verdict.key, encoders[lane](verdict.record)))
            else:
                letters.append(_dead_letter(verdict, raw, app_id, door, now_ms, encoders[REJECTED]))
        started = time.perf_counter()
        try:
            await self._log.append([*records, *letters])
        except LogUnavailable as error:
            self._turned_away.inc()
            raise unavailable(f"the events are not stored: {error}") from error
        self._ack_seconds.observe(time.perf_counter() - started)
        self._count(checked.verdicts)

    async def _refuse_whole(
        self, whole: Unsplittable, request: Request, app_id: str, now_ms: int, encoders: Mapping[str, Encoder]
    ) -> None:
        problem = whole.problem
        refused = Refused(problem.reason, problem.field, problem.detail, problem.remedy or "")
        letter = _dead_letter(refused, request.body, app_id, _door_of(request.path), now_ms, encoders[REJECTED])
        try:
            await self._log.append([letter])
        except LogUnavailable as error:
            self._turned_away.inc()
            raise unavailable(f"the events are not stored: {error}") from error
        self._count([refused] * whole.count)

    def _count(self, verdicts: list[Accepted | Refused]) -> None:
        accepted = Counter(verdict.lane for verdict in verdicts if isinstance(verdict, Accepted))
        rejected = Counter(verdict.lane for verdict in verdicts if isinstance(verdict, Refused))
        for lane, count in Counter(verdict.lane for verdict in verdicts).items():
            self._counters["received"][lane or UNKNOWN_LANE].inc(count)
        for lane, count in accepted.items():
            self._counters["accepted"][lane or UNKNOWN_LANE].inc(count)
        for lane, count in rejected.items():
            self._counters["rejected"][lane or UNKNOWN_LANE].inc(count)
        for reason, count in Counter(verdict.reason for verdict in verdicts if isinstance(verdict, Refused)).items():
            self._metrics.counter("foryou_collector_refusals_total", reason=reason).inc(count)

    def _ready(self) -> Mapping[str, Encoder]:
        encoders = self._encoders()
        lacks = ["registry"] if encoders is None else self._log.waiting_for()
        if encoders is None or lacks:
            self._turned_away.inc()
            raise unavailable(f"the collector waits for {', '.join(lacks)}", waiting_for=lacks)
        return encoders

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


def _with_key(headers: Headers, query_string: str) -> Headers:
    """The headers, with the write key of the query where they have none: a browser's beacon cannot set a header."""
    if headers.get("authorization") or "write_key=" not in query_string:
        return headers
    said = parse_qs(query_string[:MAX_QUERY], keep_blank_values=False).get("write_key")
    return {"authorization": f"Bearer {said[-1]}"} if said else headers


def _dead_letter(refused: Refused, raw: bytes, app_id: str, door: str, now_ms: int, encoder: Encoder) -> LogRecord:
    kept = "" if len(raw) <= DEAD_LETTER_BYTES else f" (first {DEAD_LETTER_BYTES:,} of {len(raw):,} bytes)"
    letter = {
        "rejected_at": now_ms,
        "app_id": app_id,
        "event_id": refused.event_id,
        "door": door,
        "reason": refused.reason,
        "field": refused.field,
        "detail": f"{refused.detail}; {refused.remedy}{kept}",
        "body": raw[:DEAD_LETTER_BYTES],
    }
    return LogRecord(REJECTED, app_id, encoder(letter))


def _door_of(path: str) -> str:
    """The door's name without the ids in its path: /v1/users/u1 → /v1/users/…"""
    return "/".join(path.split("/")[:3]) + "/…" if path.count("/") > 2 else path
