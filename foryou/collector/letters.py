"""Dead letters: what was refused, sealed with all that it takes to send it once more, bit for bit."""

import uuid
from dataclasses import dataclass

import msgspec

from foryou.collector.log.event_log import LogRecord
from foryou.collector.protocols.shape import Way
from foryou.contract.fingerprint import contract_fingerprint
from foryou.contract.gate import Refused
from foryou.contract.seal import Seal, secret_of
from foryou.contract.topics import REJECTED
from foryou.service.keys import Caller, Scope
from foryou.service.web import Request

KEPT_BYTES = 256 << 10  # of a refused body are kept; an accepted event has far fewer
REPLAY_HEADER = "x-foryou-replay"  # "<the letter's name> event <when it was refused, UTC ms>", or "… body …"
ONE_EVENT = "event"
_REPLAYS = uuid.UUID("6f1f0c3e-6a59-5d0e-9b1d-0a6a6e3f3a1d")  # a namespace: only that it stays the same matters


class Origin(msgspec.Struct, frozen=True):
    """Where events came in. `kept_as`: the way of what is kept of one event, where that is not what came.

    `replay_of`: the name of the dead letter that they are, refused `at_ms` (UTC); with `one_event`, its bytes are one
    event, whatever the content type says of the body that it was part of.
    """

    request: Request
    kept_as: Way | None = None
    replay_of: str | None = None
    one_event: bool = False
    at_ms: int | None = None

    def way(self, *, whole: bool) -> Way:
        """How refused bytes came; made only for a letter, which few posts need."""
        if self.kept_as is not None and not whole:
            return self.kept_as
        request, said = self.request, self.request.headers.get
        kind, encoding = said("content-type") or "", said("content-encoding") or ""
        return Way(request.method, request.path, kind[:256], encoding[:64], whole)

    def event_id(self, index: int) -> str | None:
        """The id of a replayed event that brings none: the same at every replay, so that it counts once."""
        return None if self.replay_of is None else str(uuid.uuid5(_REPLAYS, f"{self.replay_of}/{index}"))


def origin_of(request: Request, caller: Caller, kept_as: Way | None = None) -> Origin:
    """Where a request's events come in; a replay only by who may replay."""
    replayed: str | None = request.headers.get(REPLAY_HEADER)
    if replayed is None or not caller.may(Scope.DLQ_REPLAY):
        return Origin(request, kept_as)
    name, what, at = (*replayed.split(" "), "", "")[:3]
    at_ms = int(at) if at.isdecimal() and len(at) < 16 else None
    return Origin(request, kept_as, name, one_event=what == ONE_EVENT, at_ms=at_ms)


@dataclass(frozen=True)
class Letters:
    """Writes dead letters."""

    seal: Seal

    def letter(
        self,
        refused: Refused,
        raw: bytes,
        app_id: str,
        origin: Origin,
        now_ms: int,
        *,
        whole: bool = False,
    ) -> LogRecord:
        """The record of one refused event, or of a body in which none could be told apart."""
        kept = "" if len(raw) <= KEPT_BYTES else f" (first {KEPT_BYTES:,} of {len(raw):,} bytes)"
        body, way = self.seal(raw[:KEPT_BYTES]), origin.way(whole=whole)
        record = {
            "rejected_at": now_ms,
            "app_id": app_id,
            "event_id": refused.event_id,
            "door": _door(way.path),
            "reason": refused.reason,
            "field": refused.field,
            "detail": f"{refused.detail}; {refused.remedy}{kept}",
            "body": body,
            "sealed_by": secret_of(body),
            "way": self.seal(msgspec.json.encode(way)),
            "body_bytes": len(raw),
            "kept_bytes": min(len(raw), KEPT_BYTES),
            "contract": contract_fingerprint(),
        }
        return LogRecord(REJECTED, app_id, record)


def _door(path: str) -> str:
    """A door's name without the ids in its path: /v1/users/u1 → /v1/users/…"""
    return "/".join(path.split("/")[:3]) + "/…" if path.count("/") > 2 else path
