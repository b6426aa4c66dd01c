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
    """Where events came in. `replay_of`: the name of the dead letter that they are, refused `at_ms` (UTC); with
    `one_event`, its bytes are one event, whatever the content type says of the body that it was part of.
    """

    way: Way
    replay_of: str | None = None
    one_event: bool = False
    at_ms: int | None = None

    @property
    def door(self) -> str:
        """The door's name without the ids in its path: /v1/users/u1 → /v1/users/…"""
        path = self.way.path
        return "/".join(path.split("/")[:3]) + "/…" if path.count("/") > 2 else path

    def event_id(self, index: int) -> str | None:
        """The id of a replayed event that brings none: the same at every replay, so that it counts once."""
        return None if self.replay_of is None else str(uuid.uuid5(_REPLAYS, f"{self.replay_of}/{index}"))


def origin_of(request: Request, caller: Caller, kept_as: Way | None = None) -> Origin:
    """Where a request's events come in; a replay only by who may replay. `kept_as`: the way of what is kept of one
    event, where that is not what came.
    """
    said = request.headers.get
    kind, encoding = said("content-type") or "", said("content-encoding") or ""
    way = kept_as or Way(request.method, request.path, kind[:256], encoding[:64])
    replayed: str | None = said(REPLAY_HEADER)
    if replayed is None or not caller.may(Scope.DLQ_REPLAY):
        return Origin(way)
    name, what, at = (*replayed.split(" "), "", "")[:3]
    return Origin(way, name, one_event=what == ONE_EVENT, at_ms=int(at) if at.isdecimal() and len(at) < 16 else None)


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
        body = self.seal(raw[:KEPT_BYTES])
        record = {
            "rejected_at": now_ms,
            "app_id": app_id,
            "event_id": refused.event_id,
            "door": origin.door,
            "reason": refused.reason,
            "field": refused.field,
            "detail": f"{refused.detail}; {refused.remedy}{kept}",
            "body": body,
            "sealed_by": secret_of(body),
            "way": self.seal(msgspec.json.encode(msgspec.structs.replace(origin.way, whole=whole))),
            "body_bytes": len(raw),
            "kept_bytes": min(len(raw), KEPT_BYTES),
            "contract": contract_fingerprint(),
        }
        return LogRecord(REJECTED, app_id, record)
