"""What is going on now."""

from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query


class TrendingSource:
    """Hottest first: plays of the last hour, faster when they come faster (weights.toml, [trend])."""

    def fetch(self, query: Query) -> Rows:
        """Unseen trending videos."""
        return query.unseen(query.shelves().trending, query.weights.sources.trending)
