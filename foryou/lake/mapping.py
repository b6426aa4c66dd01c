"""From the columns of a table to events as apps send them: a mapping file (TOML), or the contract's own names.

A `Term` says where one field comes from, an `Each` which event a row becomes and when; `Mapping.events` turns the
columns of some rows into the fields of their events, column by column.
"""

import csv
import gzip
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foryou.contract.events import TYPES, ClientEvent
from foryou.lake.terms import Columns, Condition, Lookup, MappingWrong, Term, condition_of, term_of

KINDS = {"events": None, "videos": "video_published", "people": "account_created"}
GROUPS = ("context", "consent", "properties")
RECEIVED_AT = "received_at"
_FIELDS = frozenset(ClientEvent.__struct_fields__)


@dataclass(frozen=True)
class Each:
    """One event of a row: its own terms, and the conditions that must all hold."""

    terms: tuple[Term, ...]
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Mapping:
    """What a row becomes. `received_at`: None takes the event's own time. `text`: the file, for the import's id."""

    each: tuple[Each, ...]
    received_at: Term | None = None
    lookups: dict[str, Lookup] = field(default_factory=dict)
    text: str = ""

    @property
    def columns(self) -> set[str]:
        """Every column that it reads."""
        terms = [term for each in self.each for term in each.terms] + ([self.received_at] if self.received_at else [])
        read = {term.column for term in terms if term.column is not None}
        return read | {condition.column for each in self.each for condition in each.when}

    def events(self, columns: Columns, count: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """(index of the row, number of the event in it, its fields), row by row, of `count` rows."""
        made = [_fields(each.terms, columns, count, self.lookups) for each in self.each]
        holds = [_all(each.when, columns, count) for each in self.each]
        for index in range(count):
            for number, (fields, wanted) in enumerate(zip(made, holds, strict=True)):
                if wanted is None or wanted[index]:
                    yield index, number, fields[index]

    def received(self, columns: Columns, count: int) -> list[Any]:
        """received_at of each row; None where the event's own time is to be taken."""
        return [None] * count if self.received_at is None else self.received_at.values(columns, count, self.lookups)


def plain(names: Collection[str], kind: str) -> Mapping:
    """The mapping of a table whose columns already are an event's fields (`context.region` for what lies deeper)."""
    known = [name for name in names if name in _FIELDS or name.partition(".")[0] in GROUPS]
    terms = [term_of(name, {"column": name}) for name in known]
    if KINDS[kind] is not None and "event_type" not in names:
        terms.append(term_of("event_type", {"value": KINDS[kind]}))
    if kind != "events" and "event_time" not in names:
        time = next((name for name in ("published_at", RECEIVED_AT) if name in names), None)
        if time is not None:
            terms.append(term_of("event_time", {"column": time}))
    received = term_of(RECEIVED_AT, {"column": RECEIVED_AT}) if RECEIVED_AT in names else None
    return Mapping((Each(tuple(terms)),), received)


def load(path: Path) -> Mapping:
    """The mapping in a file. Raises MappingWrong with the sentence to show, which names the file."""
    try:
        text = path.read_text("utf-8")
        table = tomllib.loads(text)
    except FileNotFoundError as error:
        raise MappingWrong(f"{path}: there is no such file") from error
    except OSError as error:
        raise MappingWrong(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MappingWrong(f"{path} cannot be read as TOML: {error}") from error
    try:
        return _mapping(table, text, path.parent)
    except MappingWrong as error:
        raise MappingWrong(f"{path}: {error}") from error


def _mapping(table: dict[str, Any], text: str, folder: Path) -> Mapping:
    _only(table, {"fields", "events", "lookups", RECEIVED_AT}, "the mapping")
    shared = _terms(table.get("fields", {}))
    events = table.get("events") or [{}]
    lookups, texts = {}, [text]
    for name, about in table.get("lookups", {}).items():
        lookups[name], said = _lookup(folder, name, about)
        texts.append(said)
    mapping = Mapping(tuple(_each(shared, event) for event in events), _received(table), lookups, "\0".join(texts))
    for term in [term for each in mapping.each for term in each.terms]:
        if term.lookup is not None and term.lookup not in lookups:
            raise MappingWrong(f"{term.field}: there is no [lookups.{term.lookup}]")
    return mapping


def _received(table: dict[str, Any]) -> Term | None:
    said = table.get(RECEIVED_AT, "event_time")
    return None if said == "event_time" else term_of(RECEIVED_AT, {"column": said} if isinstance(said, str) else said)


def _each(shared: dict[str, Term], event: dict[str, Any]) -> Each:
    _only(event, {"event_type", "fields", "when"}, "an event")
    own = _terms(event.get("fields", {}))
    if "event_type" in event:
        if event["event_type"] not in TYPES:
            raise MappingWrong(f"there is no event type {event['event_type']!r}")
        own["event_type"] = term_of("event_type", {"value": event["event_type"]})
    when = event.get("when", [])
    conditions = tuple(condition_of(each) for each in (when if isinstance(when, list) else [when]))
    terms = shared | own
    for name in ("event_type", "event_time"):
        if name not in terms:
            raise MappingWrong(f"nothing gives {name}")
    return Each(tuple(terms.values()), conditions)


def _terms(fields: dict[str, Any]) -> dict[str, Term]:
    terms: dict[str, Term] = {}
    for name, said in fields.items():
        if name in GROUPS and isinstance(said, dict) and not said.keys() & {"column", "value"}:
            terms |= {f"{name}.{part}": term_of(f"{name}.{part}", each) for part, each in said.items()}
            continue
        if name not in _FIELDS and name.partition(".")[0] not in GROUPS:
            raise MappingWrong(f"an event has no field {name!r}: see docs/events.md, or put it into properties.{name}")
        terms[name] = term_of(name, said)
    return terms


def _lookup(folder: Path, name: str, about: dict[str, Any]) -> tuple[Lookup, str]:
    _only(about, {"file", "key"}, f"[lookups.{name}]")
    try:
        path = folder / about["file"]
        if not path.exists():
            raise MappingWrong(f"[lookups.{name}]: there is no file {path}")
        packed = path.read_bytes()
        text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode("utf-8")
        rows = csv.DictReader(text.splitlines(keepends=True), strict=True)
        return {row[about["key"]]: row for row in rows}, text
    except csv.Error as error:
        told = f"[lookups.{name}]: {path.name}: {error}: close each quote, and write one inside of a text twice"
        raise MappingWrong(told) from error
    except (OSError, EOFError, KeyError, UnicodeDecodeError) as error:
        raise MappingWrong(f"[lookups.{name}] needs a CSV `file` with a column `key`: {error!r}") from error


def _only(table: dict[str, Any], known: set[str], where: str) -> None:
    odd = sorted(table.keys() - known)
    if odd:
        raise MappingWrong(f"{where} has {odd[0]!r}, which means nothing here; there are {', '.join(sorted(known))}")


def _all(when: tuple[Condition, ...], columns: Columns, count: int) -> list[bool] | None:
    if not when:
        return None
    return [all(told) for told in zip(*(condition.holds(columns, count) for condition in when), strict=True)]


def _fields(terms: tuple[Term, ...], columns: Columns, count: int, lookups: dict[str, Lookup]) -> list[dict[str, Any]]:
    """Of each row the fields; what lies deeper is put together, and an empty group is left out."""
    flat = {term.field: term.values(columns, count, lookups) for term in terms if "." not in term.field}
    for group in GROUPS:
        parts = {term.field.partition(".")[2]: term for term in terms if term.field.startswith(f"{group}.")}
        if parts:
            values = [term.values(columns, count, lookups) for term in parts.values()]
            flat[group] = _grouped(tuple(parts), values)
    if not flat:
        return [{} for _ in range(count)]
    names = tuple(flat)
    return [dict(zip(names, row, strict=True)) for row in zip(*flat.values(), strict=True)]


def _grouped(names: tuple[str, ...], values: list[list[Any]]) -> list[dict[str, Any] | None]:
    rows = (zip(names, row, strict=True) for row in zip(*values, strict=True))
    return [{name: value for name, value in row if value is not None} or None for row in rows]
