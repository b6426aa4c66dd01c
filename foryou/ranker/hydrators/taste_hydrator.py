"""How well the candidates agree with the viewer's taste, as the night learnt it."""

import numpy as np

from foryou.ranker.candidates import Candidates
from foryou.ranker.query import Query


class TasteHydrator:
    """The dot product of the viewer's vector and the video's: near 1 where liking is likely."""

    def hydrate(self, query: Query, candidates: Candidates) -> Candidates:
        """Adds the column `taste`, within 0..1; 0 where the viewer or the video has no vector."""
        shown, taste = query.vectors, np.zeros(len(candidates))
        person = shown.vectors.user(query.request.user_key) if shown else None
        if shown is not None and person is not None:
            places = shown.places(candidates.rows)
            known = places >= 0
            taste[known] = (shown.videos[places[known]] @ person).clip(0.0, 1.0)
        return candidates.with_values(taste=taste)
