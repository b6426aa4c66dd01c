"""What does well where the viewer is and in the viewer's language."""

import numpy as np

from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query
from foryou.ranker.vocabulary import UNKNOWN


class RegionalSource:
    """The best of the region and of the language, as far as the request says them."""

    def fetch(self, query: Query) -> Rows:
        """Unseen videos of the region first, then of the language."""
        shelves, half = query.shelves(), query.weights.sources.regional // 2
        asked = ((shelves.by_region, query.region), (shelves.by_language, query.language))
        found = [query.unseen(shelf.of(code), half) for shelf, code in asked if code != UNKNOWN]
        return np.concatenate(found) if found else np.empty(0, np.int32)
