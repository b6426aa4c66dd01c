"""What the people whom the viewer follows have made."""

import numpy as np

from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query


class FollowedCreatorsSource:
    """The newest unseen videos of each followed creator, the newest of all first."""

    def fetch(self, query: Query) -> Rows:
        """Unseen videos; nothing for a viewer who follows nobody."""
        shelf, sources = query.shelves().by_creator, query.weights.sources
        found = [query.unseen(shelf.of(int(code)), sources.followed_creators) for code in query.known_viewer().follows]
        if not found:
            return np.empty(0, np.int32)
        rows = np.concatenate(found)
        newest = np.argsort(-query.world.catalogue.published_at[rows], kind="stable")
        return rows[newest[: sources.followed_most]]
