"""Only what is published, allowed and not removed, as known at this very moment."""

from foryou.ranker.candidates import Candidates, FilterResult, split
from foryou.ranker.query import Query


class EligibleFilter:
    """Shelves are a moment old; a removal counts from when it is heard."""

    def filter(self, query: Query, candidates: Candidates) -> FilterResult:
        """Removes what is not published, is blocked or removed, or is announced for later."""
        catalogue = query.world.catalogue
        published = catalogue.published_at[candidates.rows] <= query.request.now_ms
        return split(candidates, catalogue.eligible[candidates.rows] & published)
