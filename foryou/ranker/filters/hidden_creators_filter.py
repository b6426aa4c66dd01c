"""Whom the viewer does not want to see."""

import numpy as np

from foryou.ranker.candidates import Candidates, FilterResult, split
from foryou.ranker.query import Query


class HiddenCreatorsFilter:
    """The viewer's hide_creator, until they take it back."""

    def filter(self, query: Query, candidates: Candidates) -> FilterResult:
        """Removes videos of hidden creators."""
        creators = query.world.catalogue.creator[candidates.rows]
        return split(candidates, ~np.isin(creators, query.known_viewer().hidden))
