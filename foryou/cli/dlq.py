"""`foryou dlq`: dead letters. They are sealed; only `show --open` shows what is in one."""

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.table import Table
from rich.text import Text

from foryou.cli.keys import span_ms
from foryou.cli.replaying import Letter, Outcome, Replayed, Told, Wanted, replay
from foryou.cli.scan import Scanner
from foryou.cli.screen import plain, wide
from foryou.cli.stack import live_settings
from foryou.cli.topics import reach
from foryou.contract.codec import Registry
from foryou.contract.reasons import REASONS
from foryou.contract.seal import CannotOpen
from foryou.contract.topics import REJECTED
from foryou.service.settings import Settings
from foryou.service.tokens import REPLAY

app = typer.Typer(help="Dead letters: list, show, replay.", no_args_is_help=True)
TOKEN_S = 600
ROOMY = 100  # from so many columns on, a list has room for what is mostly the same in every line


def _reason(name: str | None) -> str | None:
    if name is not None and name not in REASONS:
        raise typer.BadParameter(f"no letter has the reason {name}: there are {', '.join(REASONS)}")
    return name


App = Annotated[str | None, typer.Option("--app", help="only of this app")]
Reason = Annotated[str | None, typer.Option(help="only with this reason, such as unknown_type", callback=_reason)]
Field = Annotated[str | None, typer.Option(help="only about this field")]
Door = Annotated[str | None, typer.Option(help="only that came in by this door, such as /v1/events")]
Since = Annotated[str, typer.Option(help="not older than this, such as 2h, 3d")]


@app.command("list")
def list_letters(
    app_id: App = None,
    reason: Reason = None,
    field: Field = None,
    door: Door = None,
    since: Since = "7d",
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="the newest so many")] = 50,
) -> None:
    """What was refused, and why; no bytes of it. The first column is what `show` and `replay` take."""
    settings, now_ms = live_settings(), time.time_ns() // 1_000_000
    wanted = Wanted(app_id, reason, field, door, now_ms - span_ms(since))
    found = list(_letters(settings, wanted))
    with Replayed(_marks(settings)) as done:
        _list(found[-number:], done)
    print(f"{len(found)} letters; a letter is kept for 7 days", file=sys.stderr)


def _list(letters: list[Letter], done: Replayed) -> None:
    console = wide(120)
    console.print(table(letters, done, datetime.now(UTC).date(), console.width))
    if told := under(letters, done, console.width):
        print(told, file=sys.stderr)


def table(letters: list[Letter], done: Replayed, today: date, width: int) -> Table:
    """What `foryou dlq list` prints on so many columns, 80 at least.

    Nothing is cut: place, time and reason keep their line, an app, a door or a field that is too long is broken. What
    all letters have in common is said once, by `under`.
    """
    roomy = width >= ROOMY
    with_contract, with_replayed = roomy and len(_contracts(letters)) > 1, any(letter in done for letter in letters)
    lines = Table(box=None, pad_edge=False)
    for title in ("place", "time", "app", "door", "reason", "field"):
        justify: Literal["left", "right"] = "right" if title == "time" else "left"
        lines.add_column(title, no_wrap=title in ("place", "time", "reason"), overflow="fold", justify=justify)
    if with_contract:
        lines.add_column("contract", no_wrap=True)
    if with_replayed:
        lines.add_column("replayed" if roomy else "✓", no_wrap=True)
    for letter in letters:
        said, at = letter.record, datetime.fromtimestamp(letter.record["rejected_at"] / 1_000, UTC)
        form = "%H:%M:%S" if at.date() == today else "%m-%d %H:%M:%S" if roomy else "%m-%d %H:%M"
        words = [letter.place, at.strftime(form), said["app_id"], said["door"], said["reason"], said["field"]]
        words += [said.get("contract")] * with_contract
        words += [("yes" if roomy else "✓") * (letter in done)] * with_replayed
        lines.add_row(*(Text(plain(word or "")) for word in words))
    return lines


def under(letters: list[Letter], done: Replayed, width: int) -> str:
    """What is said under the table, because it has no column there."""
    contracts, replayed = _contracts(letters), sum(letter in done for letter in letters)
    told = [f"contract of all: {contracts[0] or 'unknown'}"] if len(contracts) == 1 else []
    if width < ROOMY:
        told += [f"contracts: {len(contracts)}, `foryou dlq show` says which"] if len(contracts) > 1 else []
        told += [f"✓ replayed: {replayed}"] if replayed else []
    return "; ".join(told + ["none replayed"] * (bool(letters) and not replayed))


def _contracts(letters: list[Letter]) -> list[str | None]:
    return list({letter.record.get("contract"): None for letter in letters})


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="partition/offset, from `foryou dlq list`")],
    open_it: Annotated[bool, typer.Option("--open", help="also the refused bytes, raw ids and all")] = False,
) -> None:
    """One letter: what was wrong and how to mend it. With --open its bytes too, alone on stdout."""
    settings = live_settings()
    for letter in _letters(settings, Wanted(places=frozenset((place,)))):
        told = Console(stderr=True, soft_wrap=True, highlight=False)
        for name, value in letter.record.items():
            if name not in ("body", "way") and value is not None:
                told.print(f"{name}: {_at(value) if name == 'rejected_at' else plain(str(value))}", markup=False)
        if open_it:
            try:
                body = letter.body(settings.secrets().seal)
            except CannotOpen as error:
                raise _stop(f"It does not open: {error}", 1) from None
            sys.stdout.buffer.write(body)
            sys.stdout.buffer.flush()
        return
    raise _stop(f"There is no letter at {place}: `foryou dlq list` shows what there is", 1)


@app.command("replay")
def replay_letters(
    places: Annotated[list[str] | None, typer.Argument(help="partition/offset each, from `foryou dlq list`")] = None,
    everything: Annotated[bool, typer.Option("--all", help="all that the filters let through")] = False,
    app_id: App = None,
    reason: Reason = None,
    field: Field = None,
    door: Door = None,
    since: Since = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say which, send nothing")] = False,
) -> None:
    """Sends letters through the door that they came by, after what refused them is mended. Each once, bit for bit.

    A letter that is refused again stays where it is and can be replayed again. Exit status 1 when any was.
    """
    if bool(places) == everything:
        raise _stop("Say which: places from `foryou dlq list`, or --all with filters", 2)
    settings, now_ms = live_settings(), time.time_ns() // 1_000_000
    since_ms = 0 if places else now_ms - span_ms(since)
    letters = list(_letters(settings, Wanted(app_id, reason, field, door, since_ms, frozenset(places or ()))))
    outcomes: list[Outcome] = []
    with Replayed(_marks(settings)) as done, _Door(settings) as post:
        if dry_run:
            _list(letters, done)
            return
        try:
            for outcome in replay(letters, done, settings.secrets().seal, post):
                outcomes.append(outcome)
                print(f"{outcome.letter.place:>12}  {outcome.what}  {outcome.told}".rstrip())
        except CannotOpen as error:
            raise _stop(f"A letter does not open: {error}", 1) from None
        except httpx.HTTPError as error:
            raise _stop(f"The collector does not answer: {type(error).__name__}. What is above was done", 1) from None
    sent = sum(outcome.what == "replayed" for outcome in outcomes)
    print(f"{sent} of {len(letters)} letters replayed", file=sys.stderr)
    if any(outcome.what not in ("replayed", "already") for outcome in outcomes):
        raise typer.Exit(1)


class _Door:
    """The collector, asked by a token of the letter's app that may replay and lives ten minutes."""

    def __init__(self, settings: Settings) -> None:
        self._tokens = settings.secrets().tokens
        self._http = httpx.Client(base_url=settings.url("collector"), timeout=15)

    def __enter__(self) -> "_Door":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def __call__(self, app_id: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Told:
        token = self._tokens.issue(app_id, "replay", REPLAY, int(time.time()), TOKEN_S)
        named = {**headers, "authorization": f"Bearer {token}"}
        # As the bytes that came: a phone may have sent a content type in any of them.
        sent = [(name.encode(), value.encode("latin-1", "replace")) for name, value in named.items()]
        answer = self._http.request(method, path, content=body, headers=sent)
        try:
            told = answer.json()
            said = refusal(told)
        except (ValueError, AttributeError):
            return Told(answer.status_code)
        # What is limited leaves no letter: the whole goes out once more, and what was accepted of it counts once.
        return Told(429, "rate_limited") if told.get("limited") else Told(answer.status_code, said)


def refusal(answer: Mapping[str, Any]) -> str:
    """What the collector says against a letter: the reason, where, what is wrong and what would mend it."""
    results = answer.get("results") or []
    one: Mapping[str, Any] = results[0] if len(results) == 1 else answer  # of one event, what is said of that event
    where = f" at {one['field']}" if one.get("field") else ""
    why = "; ".join(str(one[name]) for name in ("detail", "remedy") if one.get(name))
    return plain(f"{one.get('reason', '')}{where}{f': {why}' if why else ''}")


def _letters(settings: Settings, wanted: Wanted) -> Iterator[Letter]:
    reach(Console(stderr=True), settings.host, settings.kafka)
    decode = Registry(settings.registry_url).decoder()
    scanner = Scanner(settings.kafka)
    try:
        for message in scanner.messages([REJECTED], wanted.since_ms):
            letter = Letter(message.partition(), message.offset(), decode(message.value()))
            if wanted.fits(letter):
                yield letter
    except (KafkaException, ConnectionError, KeyError) as error:
        raise _stop(f"Kafka at {settings.kafka}: {error}", 1) from error
    finally:
        scanner.close()


def _at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def _marks(settings: Settings) -> Path:
    return settings.home / "dlq" / "replayed"


def _stop(told: str, status: int) -> typer.Exit:
    Console(stderr=True).print(f"[red]{told}", highlight=False, soft_wrap=True)
    return typer.Exit(status)
