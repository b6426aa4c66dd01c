"""`foryou keys`: write keys. A running stack takes a change over within a second; nothing is started anew."""

import re
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from foryou.cli.screen import wide
from foryou.cli.stack import settings_or_exit
from foryou.contract.secret_ring import decode_ring, encode_ring, new_ring
from foryou.service.key_file import DEVELOPMENT_APP, change_secret, write_secret
from foryou.service.keys import EVERY_SCOPE, SERVICE, KeyRing, Scope, WriteKey, digest, key_of, new_text, successor
from foryou.service.settings import Settings

app = typer.Typer(help="Write keys: list, make, rotate, revoke.", no_args_is_help=True)
SPAN = re.compile(r"(\d{1,5})(s|m|h|d)", re.ASCII)
UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
APP_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class Ring(StrEnum):
    """What there are rings of secrets for."""

    TOKENS = "tokens"
    LETTERS = "letters"


DAY = len("2026-11-30")
ROOMY = 120  # from so many columns on, rights stand side by side and a time on one line
KEPT = {Ring.TOKENS: 2, Ring.LETTERS: 12}  # a token lives a day at most, a letter seven
Span = Annotated[str | None, typer.Option(help="such as 90d, 12h, 30m")]


@app.command("list")
def list_keys() -> None:
    """Every key: its id, app, rights, times. Of a key itself only a hash is kept, so none can be shown."""
    settings, console, now_ms = settings_or_exit(), wide(120), _now_ms()
    console.print(table(settings.secrets().keys.ring, now_ms, console.width))
    console.print(f"[dim]{settings.home / 'secrets' / 'keys.json'}", highlight=False, soft_wrap=True)


def table(ring: KeyRing, now_ms: int, width: int) -> Table:
    """What `foryou keys list` prints on so many columns. Nothing is cut: with little room each right has its line."""
    lines = Table(box=None, pad_edge=False)
    rights = [_rights(key) for key in ring]
    longest = max(len(word) for words in ("scopes", *rights) for word in words.split())
    narrow = {} if width >= ROOMY else {"scopes": longest, "created": DAY, "ends": DAY}
    with_quota = not narrow or any(key.quota_per_day is not None for key in ring)
    for title in ("key id", "app", "label", "scopes", *["quota/day"] * with_quota, "created", "ends"):
        broken = title in ("app", "label", "scopes") or title in narrow
        lines.add_column(title, no_wrap=not broken, overflow="fold", width=narrow.get(title))
    for key, right in zip(ring, rights, strict=True):
        ends = "" if key.expires_at is None else _day(key.expires_at)
        lines.add_row(
            key.key_id,
            key.app_id,
            key.label,
            right,
            *["" if key.quota_per_day is None else f"{key.quota_per_day:,}"] * with_quota,
            _day(key.created_at),
            ends if key.valid_at(now_ms) else f"[red]ended {ends}",
        )
    return lines


@app.command()
def new(
    app_id: Annotated[str, typer.Option("--app", help="the app that the key belongs to")] = DEVELOPMENT_APP,
    scope: Annotated[list[Scope] | None, typer.Option(help="may be repeated; events:write unless said")] = None,
    service: Annotated[bool, typer.Option(help="a backend's key: events, feeds, features, tokens")] = False,
    quota: Annotated[int | None, typer.Option(min=1, help="events per UTC day at most")] = None,
    expires: Span = None,
    label: Annotated[str, typer.Option(help="a word for people")] = "",
    development: Annotated[bool, typer.Option(help="every scope, and kept readable for `foryou up`")] = False,
) -> None:
    """Makes a key and prints it, this once: only its hash is kept."""
    if not APP_ID.fullmatch(app_id):
        raise _stop("An app's name has 1 to 64 of the characters A–Z a–z 0–9 . _ -")
    scopes = EVERY_SCOPE if development else {*(scope or ()), *(SERVICE if service else ())} or {Scope.EVENTS_WRITE}
    settings, now_ms, text = settings_or_exit(), _now_ms(), new_text(development)
    ends = None if expires is None else now_ms + span_ms(expires)
    key = key_of(text, app_id, scopes, now_ms, expires_at=ends, quota_per_day=quota, label=label)
    settings.secrets().keys.change(lambda ring: ring.with_key(key))
    if development:
        _keep(settings, text)
    _show(key, text)


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(help="from `foryou keys list`")],
    overlap: Annotated[str, typer.Option(help="how long the old key goes on, such as 7d, 12h; 0s: not at all")] = "7d",
) -> None:
    """Makes a key in the place of another: the same app, rights and quota. Both open until the overlap is over."""
    settings, now_ms = settings_or_exit(), _now_ms()
    ends = now_ms + span_ms(overlap)
    keys = settings.secrets().keys
    old = _find(keys.ring, key_id)
    development = _is_development(settings, old)
    text = new_text(development)
    made = successor(text, old, now_ms)
    keys.change(lambda ring: ring.with_key(made).ending(key_id, ends))
    if development:
        _keep(settings, text)
    Console(stderr=True).print(f"{key_id} ends {_day(ends)}", highlight=False)
    _show(made, text)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="from `foryou keys list`")]) -> None:
    """Ends a key now: within a second it opens nothing."""
    settings, now_ms = settings_or_exit(), _now_ms()
    keys = settings.secrets().keys
    old = _find(keys.ring, key_id)
    development = _is_development(settings, old)
    keys.change(lambda ring: ring.ending(key_id, now_ms))
    if development:
        (settings.home / "secrets" / "development.key").unlink(missing_ok=True)
    Console(stderr=True).print(f"{key_id} ended", highlight=False)


@app.command("rotate-secret")
def rotate_secret(what: Annotated[Ring, typer.Argument(help="what the secret is for")]) -> None:
    """Makes a new secret, used from now on. Tokens of the one before still open, letters of the eleven before."""
    settings = settings_or_exit()
    settings.secrets()
    path = settings.home / "secrets" / f"{what}.json"
    ring = change_secret(path, lambda ring: ring.rotated(KEPT[what]), decode_ring, encode_ring, new_ring())
    Console(stderr=True).print(f"{what}: new are under {ring.current}, {len(ring.secrets)} are known", highlight=False)


def span_ms(text: str) -> int:
    """Milliseconds of `90d`, `12h`, `30m`, `10s`."""
    found = SPAN.fullmatch(text)
    if found is None:
        raise _stop(f"{text!r} is no span of time: say 90d, 12h, 30m or 10s")
    return int(found[1]) * UNIT_MS[found[2]]


def _find(ring: KeyRing, key_id: str) -> WriteKey:
    try:
        return ring[key_id]
    except KeyError:
        raise _stop(f"There is no key {key_id[:40]!r}: `foryou keys list` shows all") from None


def _is_development(settings: Settings, key: WriteKey) -> bool:
    return any(digest(text) == key.sha256 for text in settings.secrets().write_keys)


def _keep(settings: Settings, text: str) -> None:
    write_secret(settings.home / "secrets" / "development.key", text.encode())


def _show(key: WriteKey, text: str) -> None:
    told = Console(stderr=True)
    told.print(f"{key.key_id} of the app {key.app_id}: {', '.join(sorted(key.scopes))}", highlight=False)
    told.print("The key, shown this once:", highlight=False)
    print(text)  # alone on stdout, for KEY=$(foryou keys new …)


def _rights(key: WriteKey) -> str:
    return "all" if key.scopes == EVERY_SCOPE else ", ".join(sorted(key.scopes))


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _stop(told: str) -> typer.Exit:
    Console(stderr=True).print(f"[red]{told}", highlight=False, soft_wrap=True)
    return typer.Exit(2)
