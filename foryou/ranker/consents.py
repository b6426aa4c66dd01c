"""What people let their data be used for, as they said it last.

Said beats unsaid: a word on consent names all that is granted, and what it does not name is refused. Of those who have
said nothing, the law where they are decides: where it asks for a yes first (GDPR and its like), no word is a no.
"""

from collections.abc import Mapping
from threading import Lock
from typing import Any, NamedTuple

PERSONALISATION = frozenset(("personalisation", "personalization"))
OPT_IN = frozenset(("gdpr", "uk-gdpr", "lgpd", "eu", "eea", "uk"))  # jurisdictions in which no word is a no; lower case


class _Word(NamedTuple):
    time: int
    event_id: str
    said: str


class Consents:
    """The newest word of each account, whatever the order of arrival. Safe to use from several threads."""

    def __init__(self) -> None:
        self._granted: dict[str, _Word] = {}
        self._jurisdiction: dict[str, _Word] = {}
        self._lock = Lock()

    def apply(self, account: Mapping[str, Any]) -> None:
        """Takes one record of account.avsc."""
        time = min(account["event_time"], account["received_at"])
        for name, words in (("consent", self._granted), ("jurisdiction", self._jurisdiction)):
            if (said := account[name]) is not None:
                word = _Word(time, account["event_id"], said)
                with self._lock:
                    words[account["user_key"]] = max(word, words.get(account["user_key"], word))

    def personalisation(self, user_key: str) -> bool:
        """Whether a feed may be made from what this person did."""
        with self._lock:
            granted, jurisdiction = self._granted.get(user_key), self._jurisdiction.get(user_key)
        if granted is not None:
            return not PERSONALISATION.isdisjoint(granted.said.split(","))
        return jurisdiction is None or jurisdiction.said.lower() not in OPT_IN
