"""The viewer's features: what the ranker asks for, and a reader in memory for tests and trials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

FeatureValue = float | str | list[str] | list[float] | None


class FeaturesUnavailable(Exception):
    """The store is down, late or not open yet. The feed is then answered from trends, and says so."""


@dataclass(frozen=True)
class UserFeatures:
    """Values of `ranking_v1` by feature name, and when they were read (UTC ms). No values: an unknown viewer."""

    read_at: int
    values: Mapping[str, FeatureValue] = field(default_factory=dict)

    def words(self, name: str) -> list[str]:
        """A list of strings; empty when there is none."""
        value = self.values.get(name)
        return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []

    def numbers(self, name: str) -> list[float]:
        """A list of numbers; empty when there is none."""
        value = self.values.get(name)
        return [number for number in value if isinstance(number, int | float)] if isinstance(value, list) else []

    def number(self, name: str) -> float:
        """A number; 0 when there is none."""
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) else 0.0

    def affinities(self) -> dict[str, float]:
        """Liking per category, best first."""
        return dict(zip(self.words("affinity_categories"), self.numbers("affinity_scores"), strict=False))


class FeatureReader(Protocol):
    """Where a viewer's features come from."""

    async def read(self, app_id: str, user_key: str, now_ms: int) -> UserFeatures:
        """The viewer's features at now; no values for a viewer nobody knows. Raises FeaturesUnavailable."""
        ...


class MemoryFeatures:
    """Features held in a dict, and a switch that breaks it: the public double of the store's reader."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], dict[str, FeatureValue]] = {}
        self.unavailable: str | None = None

    def put(self, app_id: str, user_key: str, **values: FeatureValue) -> None:
        """Sets features of a viewer; those not named stay."""
        self._values.setdefault((app_id, user_key), {}).update(values)

    async def read(self, app_id: str, user_key: str, now_ms: int) -> UserFeatures:
        """As the protocol says."""
        if self.unavailable is not None:
            raise FeaturesUnavailable(self.unavailable)
        return UserFeatures(now_ms, dict(self._values.get((app_id, user_key), {})))
