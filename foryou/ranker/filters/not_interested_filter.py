"""What the viewer said no to."""

import numpy as np

from foryou.ranker.candidates import Candidates, FilterResult, split
from foryou.ranker.query import Query


class NotInterestedFilter:
    """Videos that the viewer is not interested in, shown by us or met elsewhere."""

    def filter(self, query: Query, candidates: Candidates) -> FilterResult:
        """Removes them."""
        return split(candidates, ~np.isin(candidates.rows, query.known_viewer().not_interested))
