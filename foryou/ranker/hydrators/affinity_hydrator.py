"""The viewer's liking per category, as a column by category code."""

import numpy as np

from foryou.ranker.query import Query
from foryou.ranker.vocabulary import UNKNOWN


class AffinityHydrator:
    """Squeezes affinity scores into -1..1 (see weights.toml) and marks the categories of the open session."""

    def hydrate(self, query: Query) -> Query:
        """Fills affinity and recent; zeros without features or for an unknown viewer."""
        categories = query.world.catalogue.categories
        affinity, recent = np.zeros(len(categories)), np.zeros(len(categories), np.bool_)
        if query.features is not None:
            doubt = query.weights.affinity.doubt
            for category, score in query.features.affinities().items():
                affinity[categories.find(category)] = score / (abs(score) + doubt)
            in_session = query.features.number("session_length_ms") > 0
            for category in query.features.words("recent_categories") if in_session else ():
                recent[categories.find(category)] = True
        affinity[UNKNOWN], recent[UNKNOWN] = 0.0, False
        return query.hydrated(affinity=affinity, recent=recent)
