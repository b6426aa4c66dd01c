"""Blocking cuts both ways."""

import numpy as np

from foryou.ranker.candidates import Candidates, FilterResult, split
from foryou.ranker.query import Query


class BlockedCreatorsFilter:
    """Neither does the viewer see whom they block, nor who blocks them."""

    def filter(self, query: Query, candidates: Candidates) -> FilterResult:
        """Removes videos of creators on either side of a block."""
        creators = query.world.catalogue.creator[candidates.rows]
        return split(candidates, ~np.isin(creators, query.known_viewer().blocked))
