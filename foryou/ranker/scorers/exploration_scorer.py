"""A feed that only shows what it knows never learns."""

from dataclasses import replace

import numpy as np

from foryou.ranker.candidates import Candidates
from foryou.ranker.query import Query


class ExplorationScorer:
    """Noise in proportion to how little is known of a video, more of it for a viewer who keeps swiping away."""

    def score(self, query: Query, candidates: Candidates) -> Candidates:
        """Shakes the score; seeded by the request id."""
        exploration = query.weights.exploration
        streak = min(query.features.number("skip_streak"), 5.0) if query.features else 0.0
        size = exploration.noise * (1 + exploration.bored * streak) / np.sqrt(candidates.values["plays_24h"] + 1)
        noise = size * query.rng("exploration").standard_normal(len(candidates))
        return replace(candidates.with_values(noise=noise), score=candidates.score * (1 + noise.clip(min=-0.9)))
