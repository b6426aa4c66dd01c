"""A feed never shows a video twice."""

from foryou.ranker.candidates import Candidates, FilterResult, split
from foryou.ranker.query import Query


class SeenVideosFilter:
    """What was served to this viewer before, or acted on, as far back as it is remembered (viewers.py says how far)."""

    def filter(self, query: Query, candidates: Candidates) -> FilterResult:
        """Removes seen videos."""
        return split(candidates, ~query.seen[candidates.rows])
