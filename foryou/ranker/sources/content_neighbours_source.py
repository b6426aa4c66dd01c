"""More like what the viewer liked or watched to the end just now."""

import numpy as np

from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query
from foryou.ranker.sources.exact_scan import nearest
from foryou.ranker.vocabulary import UNKNOWN


class ContentNeighboursSource:
    """The videos nearest (cosine) to the mean of the last ones that the viewer enjoyed."""

    def fetch(self, query: Query) -> Rows:
        """Unseen videos, the nearest first; nothing without vectors or without such a video."""
        shown, sources = query.vectors, query.weights.sources
        if shown is None or query.features is None:
            return np.empty(0, np.int32)
        places = shown.places(_enjoyed(query))
        places = places[places >= 0][: sources.neighbours_of]
        if not len(places):
            return np.empty(0, np.int32)
        lengths = np.maximum(shown.lengths, 1e-9)
        middle = (shown.videos[places] / lengths[places, None]).mean(axis=0)
        return nearest(query, shown, (shown.videos @ middle) / lengths, sources.content_neighbours)


def _enjoyed(query: Query) -> Rows:
    """Catalogue rows of the viewer's last videos, newest first, but for those that were rather not enjoyed: the last
    ones swiped away, the not interesting, and those of a category that the viewer does not like on balance."""
    assert query.features is not None
    catalogue = query.world.catalogue
    recent = query.features.words("recent_videos")[int(query.features.number("skip_streak")) :]
    rows = np.array([row for row in map(catalogue.find, recent) if row >= 0], np.int32)
    category = catalogue.category[rows]
    liked = query.affinity[np.where(category < len(query.affinity), category, UNKNOWN)] > 0
    return rows[liked & ~np.isin(rows, query.known_viewer().not_interested)]
