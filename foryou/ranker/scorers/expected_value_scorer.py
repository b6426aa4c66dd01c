"""What an impression of the video is worth to anybody."""

from dataclasses import replace

from foryou.ranker.candidates import Candidates
from foryou.ranker.query import Query
from foryou.ranker.shelves import expected_value


class ExpectedValueScorer:
    """Weights × rates with priors. Sets the score that the other scorers change."""

    def score(self, query: Query, candidates: Candidates) -> Candidates:
        """score = expected value."""
        value = expected_value(candidates.values, query.weights.value)
        return replace(candidates.with_values(value=value), score=value)
