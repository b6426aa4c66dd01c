"""All that the ranker knows of one app, and the apps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from foryou.contract.consent import Law
from foryou.ranker.catalogue import Catalogue
from foryou.ranker.rates import Rates
from foryou.ranker.shelves import Shelves
from foryou.ranker.vectors import Shown
from foryou.ranker.viewers import Viewers
from foryou.ranker.weights import Weights
from foryou.service.consents import Consents


@dataclass
class World:
    """One app: videos, how they do, what viewers said and saw, and the shelves built from that."""

    catalogue: Catalogue = field(default_factory=Catalogue)
    viewers: Viewers = field(default_factory=Viewers)
    consents: Consents = field(default_factory=Consents)
    rates: Rates = field(init=False)
    shelves: Shelves | None = None
    vectors: Shown | None = None  # what the night learnt; swapped as a whole

    def __post_init__(self) -> None:
        self.rates = Rates(self.catalogue)

    def restock(self, weights: Weights, now_ms: int) -> Shelves:
        """Builds the shelves anew when something changed since the last time."""
        now = (self.catalogue.version, self.rates.version)
        shelves = self.shelves
        if shelves is None or now != (shelves.catalogue_version, shelves.rates_version):
            shelves = self.shelves = Shelves.build(self.catalogue, self.rates, weights, now_ms)
        return shelves


class Worlds(dict[str, World]):
    """One world per app, made when the app is first heard of. `law`: on consent; the defaults' unless given."""

    def __init__(self, known: Mapping[str, World] | None = None, *, law: Law | None = None) -> None:
        super().__init__(known or {})
        self._law = law

    def __missing__(self, app_id: str) -> World:
        return self.setdefault(app_id, World(consents=Consents(self._law)))
