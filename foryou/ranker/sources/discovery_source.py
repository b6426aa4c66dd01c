"""A little of everything: what a viewer without history sees, and how others find a new taste."""

import numpy as np

from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query


class DiscoverySource:
    """From each category its best unseen videos and as many at random from the rest of it."""

    def fetch(self, query: Query) -> Rows:
        """Unseen videos of every category."""
        rng, half = query.rng("discovery"), max(1, query.weights.sources.discovery // 2)
        shelf = query.shelves().by_category
        found = [np.empty(0, np.int32)]
        for code in range(len(shelf.starts) - 1):
            group = shelf.of(code)
            if len(group):
                anywhere = group[rng.integers(0, len(group), half)]
                found += [query.unseen(group, half), anywhere[~query.seen[anywhere]]]
        return np.concatenate(found)
