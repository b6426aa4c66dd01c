"""The numbers of embeddings.toml, typed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

PATH = Path(__file__).with_name("embeddings.toml")


@dataclass(frozen=True)
class Als:
    iterations: int
    regularisation: float
    alpha: float
    blocks: int


@dataclass(frozen=True)
class Item2Vec:
    iterations: int
    window: int
    least: float


@dataclass(frozen=True)
class EmbeddingRules:
    """What each number does stands beside it in the file."""

    days: int
    dims: int
    seed: int
    least_people: int
    most_strength: float
    held_out_days: int
    evaluated: int
    k: int
    weights: Mapping[str, float]
    als: Als
    item2vec: Item2Vec

    @classmethod
    def load(cls, path: Path = PATH) -> EmbeddingRules:
        """Raises msgspec.ValidationError, naming what is missing or of the wrong type."""
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), cls)
