"""What people let their data be used for: the one rule that the feed, ClickHouse and the night go by.

Said beats unsaid: a word on consent names all that is granted, and what it does not name is refused, in every
jurisdiction. Of those who have said nothing, the law where they are decides: where it asks for a yes first (GDPR and
its like), no word is a no; where it lets people object (CCPA and its like), no word is a yes.
"""

from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """What data can be used for."""

    ANALYTICS = "analytics"
    PERSONALISATION = "personalisation"
    ADS = "ads"


WORDS = {  # what apps call it
    Purpose.ANALYTICS: frozenset(("analytics",)),
    Purpose.PERSONALISATION: frozenset(("personalisation", "personalization")),
    Purpose.ADS: frozenset(("ads", "advertising")),
}


@dataclass(frozen=True, slots=True)
class Law:
    """Jurisdictions, in lower case: `opt_in`, where no word is a no, and `opt_out`, where no word is a yes.

    `otherwise_opt_in` is for jurisdictions in neither, and for those who have none.
    """

    opt_in: frozenset[str]
    opt_out: frozenset[str]
    otherwise_opt_in: bool

    def asks_first(self, jurisdiction: str | None) -> bool:
        """Whether no word is a no there."""
        place = (jurisdiction or "").lower()
        return place in self.opt_in or (self.otherwise_opt_in and place not in self.opt_out)

    def consents(self, purpose: Purpose, jurisdiction: str | None, said: str | None) -> bool:
        """Whether a person lets their data be used. `said`: the granted purposes joined by commas; None: no word."""
        if said is not None:
            return not WORDS[purpose].isdisjoint(said.split(","))
        return not self.asks_first(jurisdiction)
