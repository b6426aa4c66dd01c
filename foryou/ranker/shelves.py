"""Videos put in order ahead of the requests: a source takes the front of a shelf instead of sorting the catalogue.

Built as a whole by one thread and swapped in; a request keeps the set it began with. A shelf may hold a video that was
removed since (the EligibleFilter sees to that), and lacks what was published since the last build (a second or two).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foryou.features.operations import DAY
from foryou.ranker.catalogue import Catalogue, Rows
from foryou.ranker.rates import Rates
from foryou.ranker.weights import Trend, Value, Weights

FRESH_MS = 7 * DAY
FRESH_MOST = 20_000
TRENDING_MOST = 50_000

_NOTHING = np.empty(0, np.int32)


@dataclass(frozen=True)
class Shelf:
    """Rows grouped by a code, best first within each group."""

    order: Rows
    starts: NDArray[np.intp]  # by code; one more than there are codes

    def of(self, code: int) -> Rows:
        """The group of a code, best first."""
        if not 0 <= code < len(self.starts) - 1:
            return _NOTHING
        return self.order[self.starts[code] : self.starts[code + 1]]

    @classmethod
    def build(cls, order: Rows, codes: NDArray[np.signedinteger], groups: int) -> "Shelf":
        """Groups `order` (best first) by each row's code; a stable sort keeps the order within."""
        mine = codes[order]
        grouped = np.argsort(mine, kind="stable")
        return cls(order[grouped], np.searchsorted(mine[grouped], np.arange(groups + 1)))


@dataclass(frozen=True)
class Shelves:
    """Every shelf of one app at one moment (UTC ms)."""

    built_at: int
    catalogue_version: int
    rates_version: int
    trending: Rows
    fresh: Rows  # newest uploads first
    by_category: Shelf
    by_region: Shelf
    by_language: Shelf
    by_creator: Shelf  # newest first within a creator
    eligible: int

    @classmethod
    def build(cls, catalogue: Catalogue, rates: Rates, weights: Weights, now_ms: int) -> "Shelves":
        """Sorts what is eligible now by what its engagement promises."""
        versions = catalogue.version, rates.version
        count = len(catalogue)
        rows = np.flatnonzero(catalogue.eligible[:count] & (catalogue.published_at[:count] <= now_ms)).astype(np.int32)
        read = rates.read(rows, now_ms)
        worth = expected_value(read, weights.value)
        best = rows[np.argsort(-worth, kind="stable")]
        heat = trend_heat(read, rates.total("plays", DAY, rows), weights.trend) * worth
        warm = np.flatnonzero(heat > 0)
        trending = rows[warm[np.argsort(-heat[warm], kind="stable")]][:TRENDING_MOST]
        published = catalogue.published_at[rows]
        newest = rows[np.argsort(-published, kind="stable")]
        recent = newest[: np.count_nonzero(published > now_ms - FRESH_MS)][:FRESH_MOST]
        return cls(
            built_at=now_ms,
            catalogue_version=versions[0],
            rates_version=versions[1],
            trending=trending,
            fresh=recent,
            by_category=Shelf.build(best, catalogue.category, len(catalogue.categories)),
            by_region=Shelf.build(best, catalogue.region, len(catalogue.regions)),
            by_language=Shelf.build(best, catalogue.language, len(catalogue.languages)),
            by_creator=Shelf.build(newest, catalogue.creator, len(catalogue.creators)),
            eligible=len(rows),
        )


def expected_value(rates: Mapping[str, NDArray[np.float64]], value: Value) -> NDArray[np.float64]:
    """What an impression is expected to be worth: weights × rates (see weights.toml), never below the floor."""
    worth = (
        value.base
        + value.finish * rates["finish_rate_24h"]
        + value.like * rates["like_rate_24h"]
        + value.share * rates["share_rate_24h"]
        + value.skip * rates["skip_rate_24h"]
    )
    return np.maximum(worth, value.floor)


def trend_heat(
    rates: Mapping[str, NDArray[np.float64]], plays_24h: NDArray[np.float64], trend: Trend
) -> NDArray[np.float64]:
    """How much is going on around a video now; 0 without any play in 24 h. The formula is in weights.toml."""
    now = np.log1p(rates["plays_1h"]) * np.minimum(rates["velocity"], trend.velocity_most)
    return now + trend.day * np.log1p(plays_24h)
