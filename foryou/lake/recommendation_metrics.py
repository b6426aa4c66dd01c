"""How well recommendations find what people went on to like: recall@k and NDCG@k.

For each person the `k` best videos that they had not liked before are compared with the videos that they then liked.
recall@k = found / min(k, held out); NDCG@k with gains of 1 and discounts 1/log2(place + 1), place from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Score = Callable[[int], NDArray[np.floating]]  # user row → a number per video, the larger the better


@dataclass(frozen=True)
class Quality:
    """Means over people, each of whom counts once."""

    recall: float
    ndcg: float
    people: int


def quality(score: Score, before: Mapping[int, Rows], then: Mapping[int, Rows], k: int) -> Quality:
    """Of the recommendations that `score` makes; no video of `then` may be in `before`."""
    recalls, gains = [], []
    for user in sorted(then):
        found = recommended(score(user), before.get(user, np.empty(0, np.int64)), k)
        hits = np.isin(found, then[user])
        most = min(k, len(then[user]))
        recalls.append(hits.sum() / most)
        gains.append((hits * _discounts(len(found))).sum() / _discounts(most).sum())
    if not recalls:
        return Quality(0.0, 0.0, 0)
    return Quality(round(float(np.mean(recalls)), 6), round(float(np.mean(gains)), 6), len(recalls))


def recommended(scores: NDArray[np.floating], without: Rows, k: int) -> Rows:
    """The `k` best rows, best first, ties by row, none of `without`."""
    numbers = scores.astype(np.float64, copy=True)
    numbers[without] = -np.inf
    k = min(k, int(np.isfinite(numbers).sum()))
    if k == 0:
        return np.empty(0, np.int64)
    best = np.argpartition(-numbers, k - 1)[:k] if k < len(numbers) else np.arange(len(numbers))
    return best[np.lexsort((best, -numbers[best]))]


def by_user(user: NDArray[np.integer], video: NDArray[np.integer]) -> dict[int, Rows]:
    """Video rows per user row."""
    if not len(user):
        return {}
    order = np.argsort(user, kind="stable")
    who, start = np.unique(user[order], return_index=True)
    parts: Sequence[Rows] = np.split(video[order].astype(np.int64), start[1:])
    return dict(zip(who.tolist(), parts, strict=True))


def _discounts(count: int) -> NDArray[np.float64]:
    discounts: NDArray[np.float64] = 1 / np.log2(np.arange(2, count + 2))
    return discounts
