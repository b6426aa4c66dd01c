"""Who consents to what, by the account events of one app: the newest word of each, whatever the order of arrival."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from sys import intern
from threading import Lock
from typing import Any, NamedTuple

from foryou.contract.consent import Law, Purpose
from foryou.service import gate_settings

READ = frozenset(("app_id", "user_key", "event_id", "event_time", "received_at", "consent", "jurisdiction"))


class _Word(NamedTuple):
    time: int
    event_id: str
    said: str


def _newest(one: _Word, other: _Word) -> _Word:
    """Of two words on purposes. Of one millisecond's nobody knows which came last: only what both allow holds."""
    if one.time != other.time or one.said == other.said:
        return max(one, other)
    both = set(one.said.split(",")) & set(other.said.split(","))
    return _Word(one.time, max(one.event_id, other.event_id), intern(",".join(sorted(both))))


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a person. Times in UTC ms, None where nothing was said: then the law decides."""

    purposes: Mapping[Purpose, bool]
    jurisdiction: str | None
    said_at: int | None
    jurisdiction_at: int | None


class Consents:
    """Safe to use from several threads. Without a law: that of `gate.toml`'s defaults."""

    def __init__(self, law: Law | None = None) -> None:
        self._law = law or default_law()
        self._said: dict[str, _Word] = {}
        self._jurisdiction: dict[str, _Word] = {}
        self._lock = Lock()

    def apply(self, account: Mapping[str, Any]) -> None:
        """Takes one record of account.avsc."""
        time = min(account["event_time"], account["received_at"])
        for name, words, newest in (("consent", self._said, _newest), ("jurisdiction", self._jurisdiction, max)):
            if (said := account[name]) is not None:
                word = _Word(time, account["event_id"], intern(said))  # a few texts, of millions of people
                with self._lock:
                    words[account["user_key"]] = newest(words.get(account["user_key"], word), word)

    def to(self, purpose: Purpose, user_key: str) -> bool:
        """Whether this person consents to the purpose."""
        said, jurisdiction = self._words(user_key)
        return self._law.consents(purpose, jurisdiction and jurisdiction.said, said and said.said)

    def standing(self, user_key: str) -> Standing:
        """All that is known of this person."""
        said, jurisdiction = self._words(user_key)
        place = jurisdiction and jurisdiction.said
        purposes = {purpose: self._law.consents(purpose, place, said and said.said) for purpose in Purpose}
        return Standing(purposes, place, said and said.time, jurisdiction and jurisdiction.time)

    def _words(self, user_key: str) -> tuple[_Word | None, _Word | None]:
        with self._lock:
            return self._said.get(user_key), self._jurisdiction.get(user_key)


@cache
def default_law() -> Law:
    """The law of the defaults."""
    return gate_settings.load().consent.law()
