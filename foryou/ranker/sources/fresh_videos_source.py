"""New uploads, each of which gets its fair try."""

import numpy as np

from foryou.features.operations import DAY
from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query


class FreshVideosSource:
    """Uploads of the last days, those with the fewest plays first and ties in random order: attention goes round."""

    def fetch(self, query: Query) -> Rows:
        """Unseen uploads."""
        rows = query.unseen(query.shelves().fresh, len(query.shelves().fresh))
        most = query.weights.sources.fresh_videos
        turn = query.world.rates.total("plays", DAY, rows) + query.rng("fresh").random(len(rows))
        if len(rows) <= most:
            return rows[np.argsort(turn)]
        first = np.argpartition(turn, most)[:most]
        return rows[first[np.argsort(turn[first])]]
