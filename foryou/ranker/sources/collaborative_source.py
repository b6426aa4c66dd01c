"""What people of like taste liked, as the night learnt it."""

import numpy as np

from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query
from foryou.ranker.sources.exact_scan import nearest


class CollaborativeSource:
    """The videos whose vectors agree most with the viewer's (dot product): an exact scan of all that can be shown."""

    def fetch(self, query: Query) -> Rows:
        """Unseen videos, the best first; nothing without vectors, or for a viewer the night did not know."""
        shown = query.vectors
        person = shown.vectors.user(query.request.user_key) if shown else None
        if shown is None or person is None:
            return np.empty(0, np.int32)
        return nearest(query, shown, shown.videos @ person, query.weights.sources.collaborative)
