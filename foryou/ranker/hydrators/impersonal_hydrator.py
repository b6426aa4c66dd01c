"""For a viewer who has not agreed to personalisation."""

from dataclasses import replace

import numpy as np

from foryou.ranker.query import Query


class ImpersonalHydrator:
    """Takes out whom the viewer follows. What they do not want to see (blocked, hidden, seen) stays out of the page."""

    def hydrate(self, query: Query) -> Query:
        """The viewer without follows; comes after the ViewerHydrator."""
        return query.hydrated(viewer=replace(query.known_viewer(), follows=np.empty(0, np.int32)))
