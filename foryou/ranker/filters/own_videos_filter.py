"""Nobody's feed is made of their own videos."""

from foryou.ranker.candidates import Candidates, FilterResult, split
from foryou.ranker.query import Query
from foryou.ranker.vocabulary import UNKNOWN


class OwnVideosFilter:
    """A viewer who also creates sees others."""

    def filter(self, query: Query, candidates: Candidates) -> FilterResult:
        """Removes the viewer's own videos."""
        itself = query.known_viewer().itself
        mine = (query.world.catalogue.creator[candidates.rows] == itself) & (itself != UNKNOWN)
        return split(candidates, ~mine)
