"""The past's own door: files of history, through the same gate as live events, into bronze's inbox.

Nothing here knows of Kafka, so no live watermark can move. An import is a pure function of (name or content, mapping,
app): its ids, offsets and files are the same whoever runs it, and a second run is a no-op that says so. A folder is
written beside the inbox and renamed into it when it is whole.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec

from foryou.contract.events import ClientEvent, Time
from foryou.contract.gate import Gate, Refused, read_event, read_fields, read_time
from foryou.contract.identity import Identity
from foryou.contract.ids import uuid8
from foryou.contract.never_stored import NeverStored
from foryou.lake.inbox import InboxWriter, write_schemas
from foryou.lake.mapping import Mapping, plain
from foryou.lake.sources import Source, Unreadable
from foryou.lake.tables import Lake
from foryou.lake.terms import term_of

NOW = "now"
SHOWN = 5  # refusals that the summary shows in full


class ImportFailed(Exception):
    """Nothing was imported; the message is the one sentence to show."""


class PastEvent(ClientEvent, frozen=True, kw_only=True, gc=False):
    """An event as apps send it, with the time at which some collector once received it."""

    received_at: Time | None = None


_decode = msgspec.json.Decoder(PastEvent).decode


@dataclass(frozen=True)
class Order:
    """What to import: the files, how to read a row, whose it is. `clock_ms`: no row may be received after it."""

    files: tuple[Source, ...]
    app_id: str
    clock_ms: int
    kind: str = "events"
    mapping: Mapping | None = None
    name: str | None = None
    received_at: str | None = None  # a column, or "now"
    strict: bool = False
    rejects: Path | None = None  # default: beside the first file, where the raw ids are already

    @property
    def rejects_path(self) -> Path:
        """Where what was refused is written to."""
        first = self.files[0].path
        return self.rejects or first.with_name(f"{first.name}.rejects.ndjson")


@dataclass(frozen=True)
class Refusal:
    """An event, or a whole row, that was not taken."""

    file: str
    line: int
    reason: str
    field: str | None
    detail: str
    remedy: str
    body: Any = None


@dataclass
class Imported:
    """What an import has done. `repeated`: it had been done before, and nothing was written now."""

    import_id: str
    rows: int = 0
    accepted: dict[str, int] = field(default_factory=dict)  # by lane
    refused: dict[str, int] = field(default_factory=dict)  # by "reason field"
    first_refusals: list[Refusal] = field(default_factory=list)
    first_day: str | None = None
    last_day: str | None = None
    ignored_columns: list[str] = field(default_factory=list)
    rejects: str | None = None
    content: str = ""
    repeated: bool = False

    @property
    def events(self) -> int:
        """Events accepted, all lanes."""
        return sum(self.accepted.values())


def import_history(
    lake: Lake,
    identity: Identity,
    order: Order,
    progress: Callable[[int], None] = lambda consumed: None,
    *,
    never_stored: NeverStored | None = None,
) -> Imported:
    """Lays the files' events into the inbox. `progress` hears of bytes read. Raises ImportFailed, SourceUnreadable."""
    _refuse_twice(order.files)
    content = _content(order.files)
    import_id = _import_id(order, content)
    done = _done(lake, import_id)
    if done is not None:
        if done.content != content:
            raise ImportFailed(f"the import {order.name!r} has been done with other files: choose another --name.")
        return done
    draft = lake.root / "drafts" / f"{import_id}.{os.getpid()}"
    draft.mkdir(parents=True)
    try:
        imported = _Import(lake, Gate(identity, never_stored), order, import_id, draft, content).run(progress)
        if not imported.events or (order.strict and imported.refused):
            return imported
        told = json.dumps(asdict(imported), indent=1, ensure_ascii=False)
        (draft / "_import.json").write_text(told, "utf-8")
        _lay(lake, import_id, draft, told)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return imported


def _lay(lake: Lake, import_id: str, draft: Path, told: str) -> None:
    write_schemas(lake, draft.parent)
    lake.inbox.mkdir(parents=True, exist_ok=True)
    try:
        draft.rename(lake.inbox / import_id)
    except OSError as error:
        if not (lake.inbox / import_id).exists():
            raise ImportFailed(f"{lake.inbox} cannot be written to: {error.strerror}") from error
    record = _record(lake, import_id)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(told, "utf-8")  # outlives the folder, should the night clear its inbox


def _record(lake: Lake, import_id: str) -> Path:
    return lake.root / "imports" / f"{import_id}.json"


def _done(lake: Lake, import_id: str) -> Imported | None:
    for path in (lake.inbox / import_id / "_import.json", _record(lake, import_id)):
        try:
            said = msgspec.json.decode(path.read_bytes(), type=Imported)
        except (FileNotFoundError, msgspec.DecodeError):
            continue
        said.repeated = True
        return said
    return None


def _refuse_twice(files: Sequence[Source]) -> None:
    """What has no event_id would count once for each time that its file is named."""
    for path, times in Counter(file.path.resolve() for file in files).items():
        if times > 1:
            raise ImportFailed(f"{path.name} is named {times} times: name each file once.")


def _content(files: Sequence[Source]) -> str:
    whole = hashlib.blake2b(digest_size=16)
    for file in files:
        with file.path.open("rb") as raw:
            whole.update(hashlib.file_digest(raw, "blake2b").digest())
    return whole.hexdigest()


def _import_id(order: Order, content: str) -> str:
    text = order.mapping.text if order.mapping is not None else ""
    about = (order.name or content, text, order.app_id, order.kind, order.received_at or "")
    return hashlib.blake2b("\0".join(about).encode(), digest_size=10).hexdigest()


class _Import:
    """One import under way: gate, encoders, the part being written, what was counted."""

    def __init__(self, lake: Lake, gate: Gate, order: Order, import_id: str, draft: Path, content: str) -> None:
        self._gate = gate
        self._order = order
        self._seed = order.name or content
        self._told = Imported(import_id, content=content)
        self._refused: Counter[str] = Counter()
        self._days: set[int] = set()
        self._out = InboxWriter(draft, import_id)
        self._rejects: TextIO | None = None

    def run(self, progress: Callable[[int], None]) -> Imported:
        told, order = self._told, self._order
        before = 0
        try:
            for number, file in enumerate(order.files):
                take = self._raw if self._taken_raw(file) else self._mapped
                for consumed in take(file, number):
                    progress(before + consumed)
                before += file.path.stat().st_size
        finally:
            self._out.close()
            if self._rejects is not None:
                self._rejects.close()
        told.accepted = {lane.value: count for lane, count in self._out.counts.items() if count}
        told.refused = dict(self._refused.most_common())
        if self._days:
            told.first_day, told.last_day = (_day(number) for number in (min(self._days), max(self._days)))
        return told

    def _taken_raw(self, file: Source) -> bool:
        order = self._order
        return (
            file.format == "ndjson" and order.mapping is None and order.kind == "events" and order.received_at is None
        )

    def _raw(self, file: Source, number: int) -> Iterator[int]:
        """Lines that are events as apps send them, checked from their bytes as the collector does."""
        for batch in file.raw_lines():
            for row, line, raw in zip(batch.rows, batch.lines, batch.raws, strict=True):
                event = read_event(raw, _decode)
                if isinstance(event, Refused):
                    self._refuse(file, line, event, raw.decode("utf-8", "replace"))
                else:
                    self._take(event, event.received_at, file, line, (number, row, 0), raw)
            self._told.rows += len(batch.rows)
            yield batch.consumed

    def _mapped(self, file: Source, number: int) -> Iterator[int]:
        """Rows of a table, column by column, then event by event."""
        mapping = self._mapping(file)
        seen: dict[str, None] = {}
        for batch in file.batches():
            for bad in batch.bad:
                self._unreadable(file, bad)
            count = len(batch.rows)
            columns = batch.columns
            seen |= dict.fromkeys(columns)
            chosen = mapping if mapping is not None else plain(list(columns), self._order.kind)
            received = self._received(chosen, columns, count)
            for index, part, fields in chosen.events(columns, count):
                event = read_fields(fields, ClientEvent)
                if isinstance(event, Refused):
                    event = read_fields(
                        {name: value for name, value in fields.items() if value is not None}, ClientEvent
                    )
                if isinstance(event, Refused):
                    self._refuse(file, batch.lines[index], event, fields)
                    continue
                self._take(event, received[index], file, batch.lines[index], (number, batch.rows[index], part), fields)
            self._told.rows += count + len(batch.bad)
            yield batch.consumed
        own = self._order.received_at
        if seen and own not in (None, NOW, *seen):  # of NDJSON this is known at its end
            raise ImportFailed(f"no line of {file.path.name} has {own!r}; they have {', '.join([*seen][:20])}")

    def _mapping(self, file: Source) -> Mapping | None:
        """The order's mapping, or the contract's own names; None where each batch has names of its own."""
        names = file.names()
        mapping = self._order.mapping or (plain(names, self._order.kind) if names is not None else None)
        if names is None or mapping is None:
            return mapping
        if self._order.mapping is None and not mapping.columns:
            told = f"no column of {file.path.name} is a field of an event; it has {', '.join(map(repr, names[:20]))}"
            raise ImportFailed(f"{told}. Say --mapping; cells are parted by commas, and text is UTF-8")
        own = self._order.received_at
        wanted = mapping.columns | ({own} if own is not None and own != NOW else set())
        lacking = sorted(name for name in wanted if name not in names)
        if lacking:
            raise ImportFailed(
                f"{file.path.name} has no column {', '.join(map(repr, lacking))}; it has {', '.join(names)}"
            )
        ignored = [name for name in names if name not in wanted and name not in self._told.ignored_columns]
        self._told.ignored_columns += ignored
        return mapping

    def _received(self, mapping: Mapping, columns: dict[str, list[Any]], count: int) -> list[Any]:
        column = self._order.received_at
        if column == NOW:
            return [self._order.clock_ms] * count
        if column is not None:
            return term_of("received_at", {"column": column}).values(columns, count, {})
        return mapping.received(columns, count)

    def _take(
        self, event: ClientEvent, received: Any, file: Source, line: int, place: tuple[int, int, int], body: Any
    ) -> None:
        name = "received_at" if received is not None else "event_time"
        at = event.event_time if received is None else received
        clock_ms = self._order.clock_ms
        moment = read_time(name, at) if isinstance(at, int | str) else _NO_TIME
        if isinstance(moment, Refused):
            self._refuse(file, line, moment, body)
            return
        if moment > clock_ms:
            self._refuse(file, line, _FUTURE if received is not None else _AHEAD, body)
            return
        made = uuid8(self._seed, "/".join(map(str, place))) if event.event_id is None else None
        verdict = self._gate.check_event(event, self._order.app_id, moment, made)
        if isinstance(verdict, Refused):
            self._refuse(file, line, verdict, body)
            return
        self._days.add(moment // 86_400_000)
        self._out.add(verdict, moment)

    def _unreadable(self, file: Source, bad: Unreadable) -> None:
        self._refuse(file, bad.line, Refused(bad.reason, None, bad.detail, bad.remedy), bad.body)

    def _refuse(self, file: Source, line: int, said: Refused, body: Any) -> None:
        if isinstance(body, bytes):
            body = body.decode("utf-8", "replace")
        refusal = Refusal(file.path.name, line, said.reason, said.field, said.detail, said.remedy, body)
        self._refused[f"{said.reason} {said.field or ''}".strip()] += 1
        if len(self._told.first_refusals) < SHOWN:
            self._told.first_refusals.append(Refusal(**{**_shallow(refusal), "body": None}))
        if self._rejects is None:
            path = self._order.rejects_path
            try:
                self._rejects = path.open("w", encoding="utf-8")
            except OSError as error:
                raise ImportFailed(f"{path} cannot be written ({error.strerror}): say --rejects PATH.") from error
            self._told.rejects = str(path)
        self._rejects.write(json.dumps(_shallow(refusal), ensure_ascii=False, default=str) + "\n")


def _shallow(refusal: Refusal) -> dict[str, Any]:
    return {name: getattr(refusal, name) for name in refusal.__dataclass_fields__}


def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86_400, UTC).date().isoformat()


_NO_TIME = Refused("bad_time", "received_at", "received_at is no time", "give UTC milliseconds or RFC 3339 with a zone")
_FUTURE = Refused("time_out_of_range", "received_at", "received_at is still to come", "the past only: mend the column")
_AHEAD = Refused(
    "time_out_of_range",
    "event_time",
    "event_time is still to come and there is no received_at",
    "give received_at, or mend the clock of the source",
)
