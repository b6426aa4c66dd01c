"""More of what the viewer likes."""

import numpy as np

from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query


class CategoryAffinitySource:
    """The best of each of the viewer's most liked categories, the liked session categories included."""

    def fetch(self, query: Query) -> Rows:
        """Unseen videos, most liked category first; nothing for a viewer without liking."""
        liking = query.affinity + 0.5 * (query.recent & (query.affinity >= 0))  # a tie-break, not a weight: order only
        best = np.argsort(-liking, kind="stable")[: query.weights.sources.categories]
        shelf, most = query.shelves().by_category, query.weights.sources.category_affinity
        found = [query.unseen(shelf.of(int(code)), most) for code in best if liking[code] > 0]
        return np.concatenate(found) if found else np.empty(0, np.int32)
