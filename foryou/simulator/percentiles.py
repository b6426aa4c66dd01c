"""Percentiles of a few hundred thousand latencies: a sorted list and an index (nearest rank), no sketch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Percentiles:
    """In the unit of what was given; NaN when nothing was."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    max: float


def percentiles(values: Iterable[float]) -> Percentiles:
    """Nearest-rank percentiles."""
    ranked = sorted(values)
    if not ranked:
        return Percentiles(0, math.nan, math.nan, math.nan, math.nan, math.nan)

    def rank(share: float) -> float:
        return ranked[max(0, math.ceil(share * len(ranked)) - 1)]

    return Percentiles(len(ranked), rank(0.5), rank(0.9), rank(0.99), rank(0.999), ranked[-1])
