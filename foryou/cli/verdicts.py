"""What Flink said of accepted events: verdicts by the place of the event, read from their topics."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foryou.cli.scan import Scanner
from foryou.contract.codec import Decoder, NotAvro, Registry
from foryou.contract.events import lane_of
from foryou.contract.schemas import projection, schema
from foryou.lake.ledger import Line, Offsets, Place, balance, offsets_of
from foryou.lake.topic_spans import Span

TOPICS = {"clean": "events.clean.v1", "duplicate": "events.duplicate.v1", "late": "events.late.v1"}
VERDICTS = "accepted = clean + duplicate + late"
SETTLES_MS = 60_000  # verdicts overtake one another within seconds: the newest say nothing of those before them
_FIELDS = ("event_type", "source_partition", "source_offset")


@dataclass(frozen=True)
class Verdicts:
    """terms: verdict → place → offsets; reached: how far the places are judged (the next offset)."""

    terms: Mapping[str, Mapping[Place, Offsets]]
    reached: Mapping[Place, int]


def read_verdicts(scanner: Scanner, registry: Registry, since_ms: int, now_ms: int) -> Verdicts:
    """All verdicts given from `since_ms` on. Raises ConnectionError, KeyError for a topic that is not there."""
    decoders = {
        verdict: registry.decoder(projection(schema("clean" if verdict == "clean" else "apart"), _FIELDS))
        for verdict in TOPICS
    }
    terms: dict[str, dict[Place, Offsets]] = {}
    reached: dict[Place, int] = {}
    for verdict, topic in TOPICS.items():
        found: dict[Place, list[int]] = {}
        for message in scanner.messages([topic], since_ms):
            at = _place(decoders[verdict], message.value())
            if at is None:
                continue
            place, offset = at
            found.setdefault(place, []).append(offset)
            if message.timestamp()[1] < now_ms - SETTLES_MS:
                reached[place] = max(reached.get(place, 0), offset + 1)
        terms[verdict] = {place: offsets_of(offsets) for place, offsets in found.items()}
    return Verdicts(terms, reached)


def _place(decode: Decoder, value: bytes | None) -> tuple[Place, int] | None:
    try:
        record = decode(value or b"")
    except NotAvro:
        return None
    return Place(str(lane_of(record["event_type"])), record["source_partition"]), record["source_offset"]


def verdict_lines(verdicts: Verdicts, spans: Mapping[Place, Span], lanes: tuple[str, ...]) -> list[Line]:
    """accepted = clean + duplicate + late, by partition of the lanes that are judged; what lies beyond the last verdict
    is in flight."""
    nothing: Offsets = np.empty(0, np.int64)
    lines = []
    for place, span in spans.items():
        if place.topic in lanes and span.start < span.end:
            terms = {verdict: of.get(place, nothing) for verdict, of in verdicts.terms.items()}
            lines.append(
                balance(VERDICTS, place, np.arange(span.start, span.end), terms, verdicts.reached.get(place, 0))
            )
    return lines
