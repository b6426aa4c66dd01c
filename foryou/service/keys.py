"""Write keys: who may do what, for which app, until when. Values and pure functions; `key_file.py` keeps them on disk.

Only the SHA-256 of a key is kept. A slow hash (bcrypt, argon2) makes guessing dear where people choose what is
guessed; a key here is 192 bits or more of the system's randomness, which nobody guesses at any speed, and a slow hash
would be paid by every post.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

DAY_MS = 86_400_000


class Scope(StrEnum):
    """What a key may do, within its app."""

    EVENTS_WRITE = "events:write"  # post events; what an app in people's hands carries
    FEED_READ = "feed:read"  # read anybody's feed: a service's right, never a phone's
    FEATURES_READ = "features:read"  # read anybody's features from the store
    FEATURES_WRITE = "features:write"  # push features, apply
    TOKENS_ISSUE = "tokens:issue"  # make tokens, each for one person
    DLQ_REPLAY = "dlq:replay"  # post dead letters again under their old place
    ADMIN = "admin"  # all of these


EVERY_SCOPE = frozenset(Scope)
SERVICE = frozenset((Scope.EVENTS_WRITE, Scope.FEED_READ, Scope.FEATURES_READ, Scope.TOKENS_ISSUE))


class WriteKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key as it is kept: never the key itself. Times in UTC ms; `expires_at` None: not yet decided."""

    key_id: str
    app_id: str
    sha256: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None = None
    quota_per_day: int | None = None
    label: str = ""

    def valid_at(self, now_ms: int) -> bool:
        """Whether it opens anything at `now_ms`."""
        return self.expires_at is None or now_ms < self.expires_at


@dataclass(frozen=True, slots=True)
class Caller:
    """Who knocks: an app, what it may do, and by which key. `user_key`: the one person that a token speaks for."""

    app_id: str
    scopes: frozenset[Scope]
    key_id: str
    quota_per_day: int | None = None
    user_key: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether this caller has the scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True)
class KeyRing:
    """The keys of a stack, found by what a client sends."""

    keys: tuple[WriteKey, ...] = ()
    _by_digest: Mapping[str, WriteKey] = field(init=False, repr=False, compare=False)
    _found: dict[str, tuple[WriteKey, Caller]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_digest", {key.sha256: key for key in self.keys})
        object.__setattr__(self, "_found", {})  # by the text of a key that was right, in memory only

    def __iter__(self) -> Iterator[WriteKey]:
        return iter(self.keys)

    def find(self, text: str, now_ms: int) -> Caller | None:
        """The caller that this key makes at `now_ms`. Comparing digests gives away no part of a key by its time."""
        found = self._found.get(text)
        if found is None:
            key = self._by_digest.get(digest(text))
            if key is None:
                return None
            found = self._found[text] = (key, Caller(key.app_id, key.scopes, key.key_id, key.quota_per_day))
        return found[1] if found[0].valid_at(now_ms) else None

    def with_key(self, key: WriteKey) -> "KeyRing":
        """The ring with one key more; one that is in it already stays as it is."""
        return self if key.sha256 in self._by_digest else KeyRing((*self.keys, key))

    def ending(self, key_id: str, at_ms: int) -> "KeyRing":
        """The ring with that key at an end from `at_ms`, or earlier if it was to end earlier. Raises KeyError."""
        self[key_id]
        return KeyRing(tuple(_ending(key, at_ms) if key.key_id == key_id else key for key in self.keys))

    def __getitem__(self, key_id: str) -> WriteKey:
        for key in self.keys:
            if key.key_id == key_id:
                return key
        raise KeyError(key_id)


def _ending(key: WriteKey, at_ms: int) -> WriteKey:
    return msgspec.structs.replace(key, expires_at=at_ms if key.expires_at is None else min(at_ms, key.expires_at))


def digest(text: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def new_text(development: bool = False) -> str:
    """A new key. Everybody sees by its beginning what it is, secret scanners too."""
    return "fy_dev_" + secrets.token_urlsafe(24) if development else "fy_key_" + secrets.token_urlsafe(32)


def key_of(
    text: str,
    app_id: str,
    scopes: Iterable[Scope],
    now_ms: int,
    *,
    expires_at: int | None = None,
    quota_per_day: int | None = None,
    label: str = "",
) -> WriteKey:
    """What is kept of the key `text`. Its id, the beginning of the hash, may stand in logs and gives nothing away."""
    hashed = digest(text)
    return WriteKey(
        key_id=f"wk_{hashed[:12]}",
        app_id=app_id,
        sha256=hashed,
        scopes=frozenset(scopes),
        created_at=now_ms,
        expires_at=expires_at,
        quota_per_day=quota_per_day,
        label=label,
    )


def successor(text: str, old: WriteKey, now_ms: int) -> WriteKey:
    """The key that takes the place of `old`: the same app, rights and quota."""
    return key_of(text, old.app_id, old.scopes, now_ms, quota_per_day=old.quota_per_day, label=old.label)


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[WriteKey]
    version: int = 1


def encode(ring: KeyRing) -> bytes:
    """The file's text."""
    return msgspec.json.format(msgspec.json.encode(_Stored(list(ring.keys)), order="sorted"), indent=1) + b"\n"


def decode(text: bytes) -> KeyRing:
    """The keys in a file. Raises ValueError saying what is wrong, without quoting a hash."""
    stored = msgspec.json.decode(text, type=_Stored)
    if stored.version != 1:
        raise ValueError(f"version {stored.version} of the key file is not known here")
    return KeyRing(tuple(stored.keys))
