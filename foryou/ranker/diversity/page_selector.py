"""A page of different things: caps per creator and category, fewer points for more of the same, a place for uploads."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from foryou.ranker.candidates import Candidates, Floats, Mask
from foryou.ranker.query import Query
from foryou.ranker.vocabulary import UNKNOWN

POOL_PER_ITEM = 40  # candidates per place that the page is picked from; the rest has no chance but when caps starve it


@dataclass(frozen=True)
class Selection:
    """Places among the candidates, in the order of the page; `relaxed` of them broke a cap: nothing else was left."""

    picked: NDArray[np.intp]
    relaxed: int


class PageSelector:
    """Greedy: each place takes what is best after what is already on the page."""

    def select(self, query: Query, candidates: Candidates, explored: int) -> Selection:
        """Picks min(limit, candidates). `explored` is the place of the exploring source in the list of sources."""
        limit = min(query.request.limit, len(candidates))
        if limit == 0:
            return Selection(np.empty(0, np.intp), 0)
        pool = self._pool(candidates, explored, limit)
        selection = self._greedy(query, candidates, pool, explored, limit)
        if selection.relaxed and len(pool) < len(candidates):  # before breaking a cap, look at everything
            selection = self._greedy(query, candidates, np.arange(len(candidates)), explored, limit)
        return selection

    def _pool(self, candidates: Candidates, explored: int, limit: int) -> NDArray[np.intp]:
        size = limit * POOL_PER_ITEM
        if len(candidates) <= size:
            return np.arange(len(candidates))
        best = np.argpartition(-candidates.score, size)[:size]
        uploads = np.flatnonzero(candidates.source == explored)
        if len(uploads) > limit:
            uploads = uploads[np.argpartition(-candidates.score[uploads], limit)[:limit]]
        return np.union1d(best, uploads)

    def _greedy(
        self, query: Query, candidates: Candidates, pool: NDArray[np.intp], explored: int, limit: int
    ) -> Selection:
        diversity, catalogue, rows = query.weights.diversity, query.world.catalogue, candidates.rows[pool]
        category, creator, score = catalogue.category[rows], catalogue.creator[rows], candidates.score[pool].copy()
        upload: Mask = candidates.source[pool] == explored
        liking = np.zeros(int(np.max(category)) + 1)
        known = min(len(liking), len(query.affinity))
        liking[:known] = query.affinity[:known].clip(min=0)
        share = diversity.category_share + diversity.category_share_liked * liking
        category_cap = np.ceil(share * query.request.limit)
        creator_cap = max(1, ceil(diversity.per_creator * query.request.limit / 10))
        on_page = np.zeros(len(liking))
        by_creator: dict[int, int] = {}
        open_: Mask = np.ones(len(pool), np.bool_)
        creator_open: Mask = np.ones(len(pool), np.bool_)
        explore = self._explore_places(query, limit)
        picked: list[int] = []
        relaxed = 0
        for place in range(limit):
            discounted: Floats = score * diversity.repeat_discount ** on_page[category]
            capped = open_ & creator_open & (on_page < category_cap)[category]
            choices = capped & upload if place in explore and (capped & upload).any() else capped
            if not choices.any():
                relaxed += 1
                choices = open_ & creator_open if (open_ & creator_open).any() else open_
            best = int(np.argmax(np.where(choices, discounted, -np.inf)))
            picked.append(best)
            open_[best] = False
            on_page[category[best]] += 1
            who = int(creator[best])
            by_creator[who] = by_creator.get(who, 0) + 1
            if who != UNKNOWN and by_creator[who] >= creator_cap:
                creator_open &= creator != who
        return Selection(pool[picked], relaxed)

    def _explore_places(self, query: Query, limit: int) -> set[int]:
        rng = query.rng("places")
        wanted = int(query.weights.diversity.explore_share * limit + rng.random())
        behind_the_first = np.arange(min(2, limit - 1), limit)
        return set(rng.permutation(behind_the_first)[:wanted].tolist())
