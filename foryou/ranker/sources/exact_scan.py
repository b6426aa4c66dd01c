"""The best of an app's videos by a number per vector. Below some 200,000 videos no index is faster (FACTS)."""

import numpy as np
from numpy.typing import NDArray

from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query
from foryou.ranker.vectors import Shown


def nearest(query: Query, shown: Shown, scores: NDArray[np.float32], most: int) -> Rows:
    """Catalogue rows of the `most` largest positive scores among what may be shown and the viewer has not seen."""
    rows = shown.rows
    usable = query.world.catalogue.eligible[rows] & ~query.seen[rows] & (scores > 0)
    places = np.flatnonzero(usable)
    if len(places) > most:
        places = places[np.argpartition(-scores[places], most)[:most]]
    return rows[places[np.argsort(-scores[places], kind="stable")]]
