"""Candidates as columns, and what a filter gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from foryou.ranker.catalogue import Rows

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """Videos that may be shown: catalogue row, place in the list of sources, and a column per hydrated value."""

    rows: Rows
    source: NDArray[np.int8]
    values: Mapping[str, Floats] = field(default_factory=dict)
    score: Floats = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Mask | NDArray[np.intp]) -> "Candidates":
        """Those that a mask or an array of places picks, every column alike."""
        values = {name: column[chosen] for name, column in self.values.items()}
        score = self.score[chosen] if len(self.score) else self.score
        return Candidates(self.rows[chosen], self.source[chosen], values, score)

    def with_values(self, **columns: Floats) -> "Candidates":
        """The same candidates with more columns."""
        return replace(self, values={**self.values, **columns})


@dataclass(frozen=True)
class FilterResult:
    """What a filter kept, and the rows that it removed; the reason is the filter's own name."""

    kept: Candidates
    removed: Rows


def split(candidates: Candidates, keep: Mask) -> FilterResult:
    """Keeps what the mask says."""
    if keep.all():
        return FilterResult(candidates, candidates.rows[:0])
    return FilterResult(candidates.take(keep), candidates.rows[~keep])


def gather(found: list[Rows]) -> Candidates:
    """One list out of every source's, each row once: it remembers the first source that brought it."""
    rows = np.concatenate(found) if found else np.empty(0, np.int32)
    source = np.repeat(np.arange(len(found), dtype=np.int8), [len(each) for each in found])
    _, first = np.unique(rows, return_index=True)
    first.sort()
    return Candidates(rows[first].astype(np.int32), source[first])
