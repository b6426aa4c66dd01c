"""What the video is worth to this viewer, now."""

from dataclasses import replace

import numpy as np

from foryou.ranker.candidates import Candidates
from foryou.ranker.query import Query
from foryou.ranker.vocabulary import UNKNOWN


class PreferenceScorer:
    """score × exp(Σ weight × term). Each term is kept as a column, so that the served log can say why."""

    def score(self, query: Query, candidates: Candidates) -> Candidates:
        """Multiplies the score."""
        catalogue, weights, rows = query.world.catalogue, query.weights, candidates.rows
        # A category may have been heard of after the query was hydrated: nobody likes it yet.
        category = catalogue.category[rows]
        category = np.where(category < len(query.affinity), category, UNKNOWN)
        affinity = query.affinity[category]
        recent = query.recent[category]
        language, region = catalogue.language[rows], catalogue.region[rows]
        in_session = query.recent.any()
        terms = {
            "affinity": affinity,
            "recent": recent & (affinity >= 0),
            "follow": np.isin(catalogue.creator[rows], query.known_viewer().follows),
            "trend": np.log(candidates.values["velocity"]).clip(0.0, 2.0),
            "fresh": np.exp2(-candidates.values["age_hours"] / weights.freshness.half_life_hours),
            "language": (language == query.language) & (language != UNKNOWN),
            "region": (region == query.region) & (region != UNKNOWN),
            "novelty": ~recent & in_session,
            "taste": candidates.values["taste"],
        }
        columns = {name: term.astype(np.float64) for name, term in terms.items()}
        exponent = sum(getattr(weights.terms, name) * column for name, column in columns.items())
        return replace(candidates.with_values(**columns), score=candidates.score * np.exp(exponent))
