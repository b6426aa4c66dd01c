"""The last days held out: what was liked before, what was liked then, and what is compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foryou.lake.embedding_rules import EmbeddingRules
from foryou.lake.embeddings import USER, VIDEO, Liked, Vectors, liked
from foryou.lake.recommendation_metrics import Rows, Score, by_user


@dataclass(frozen=True)
class HeldOut:
    """What the models may see (`liking`), per user row what was liked `before` and `then`."""

    liking: Liked
    before: Mapping[int, Rows]
    then: Mapping[int, Rows]

    def popular(self) -> Score:
        """Videos by people."""
        people = self.liking.videos["people"].to_numpy()
        return lambda user: people

    def at_random(self, seed: int) -> Score:
        """Videos by lot, another lot per person."""
        count = self.liking.videos.num_rows
        return lambda user: np.random.default_rng([seed, user]).random(count)

    def of(self, vectors: Vectors) -> Score:
        """Videos by dot product."""
        return lambda user: vectors.videos @ vectors.users[user]


def hold_out(found: pa.Table, rules: EmbeddingRules) -> HeldOut:
    """Splits strengths at the window's cut.

    What was held out counts where the person and the video are known from before and the person had not liked the video
    yet; at most `evaluated` people, the first by key.
    """
    held = found["held_out"].to_numpy(zero_copy_only=False)
    liking = liked(found.filter(pa.array(~held)), rules)
    later = found.filter(pa.array(held))
    user, video = _places(liking.users, later, USER), _places(liking.videos, later, VIDEO)
    known = (user >= 0) & (video >= 0)
    before = by_user(liking.pairs["user"].to_numpy(), liking.pairs["video"].to_numpy())
    then = {who: np.setdiff1d(rows, before[who]) for who, rows in by_user(user[known], video[known]).items()}
    kept = [who for who in sorted(then) if len(then[who])][: rules.evaluated]
    return HeldOut(liking, before, {who: then[who] for who in kept})


def _places(known: pa.Table, asked: pa.Table, key: tuple[str, str]) -> NDArray[np.int64]:
    """The row in `known` of each row of `asked`, -1 for those that are not there."""
    number = dict(zip(_pairs(known, key), range(known.num_rows), strict=True))
    return np.fromiter((number.get(pair, -1) for pair in _pairs(asked, key)), np.int64, asked.num_rows)


def _pairs(table: pa.Table, key: tuple[str, str]) -> Iterator[tuple[str, str]]:
    return zip(table[key[0]].to_pylist(), table[key[1]].to_pylist(), strict=True)
