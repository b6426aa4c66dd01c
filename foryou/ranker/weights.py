"""The published weights, typed. The numbers and what each multiplies are in `weights.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec

PATH = Path(__file__).with_name("weights.toml")


@dataclass(frozen=True)
class Value:
    finish: float
    like: float
    share: float
    skip: float
    base: float
    floor: float


@dataclass(frozen=True)
class Terms:
    affinity: float
    recent: float
    follow: float
    trend: float
    fresh: float
    language: float
    region: float
    novelty: float
    taste: float


@dataclass(frozen=True)
class Affinity:
    doubt: float


@dataclass(frozen=True)
class Trend:
    velocity_most: float
    day: float


@dataclass(frozen=True)
class Freshness:
    half_life_hours: float


@dataclass(frozen=True)
class Exploration:
    noise: float
    bored: float


@dataclass(frozen=True)
class Sources:
    trending: int
    category_affinity: int
    categories: int
    followed_creators: int
    followed_most: int
    fresh_videos: int
    regional: int
    discovery: int
    collaborative: int
    content_neighbours: int
    neighbours_of: int


@dataclass(frozen=True)
class Diversity:
    per_creator: float
    category_share: float
    category_share_liked: float
    repeat_discount: float
    explore_share: float


@dataclass(frozen=True)
class Weights:
    """One published set of weights; `version` names it in every answer."""

    version: str
    value: Value
    terms: Terms
    affinity: Affinity
    trend: Trend
    freshness: Freshness
    exploration: Exploration
    sources: Sources
    diversity: Diversity

    @classmethod
    def load(cls, path: Path = PATH) -> "Weights":
        """Reads a weights file. Raises msgspec.ValidationError, naming what is missing or of the wrong type."""
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), cls)
