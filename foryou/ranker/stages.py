"""What the stages of the pipeline are. A stage's metric name is its class name in snake case."""

import re
from typing import Protocol

from foryou.ranker.candidates import Candidates, FilterResult
from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Query


class QueryHydrator(Protocol):
    """Adds what is known about the viewer."""

    def hydrate(self, query: Query) -> Query: ...


class Source(Protocol):
    """Brings candidates, the best first, none that the viewer has seen where it can help it."""

    def fetch(self, query: Query) -> Rows: ...


class Filter(Protocol):
    """Keeps what may be shown; what it removes is removed for the reason in its name."""

    def filter(self, query: Query, candidates: Candidates) -> FilterResult: ...


class CandidateHydrator(Protocol):
    """Adds columns of values about the candidates."""

    def hydrate(self, query: Query, candidates: Candidates) -> Candidates: ...


class Scorer(Protocol):
    """Sets or changes the score."""

    def score(self, query: Query, candidates: Candidates) -> Candidates: ...


def name_of(stage: object) -> str:
    """`seen_videos_filter` for a SeenVideosFilter."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(stage).__name__).lower()


def source_name(source: Source) -> str:
    """`fresh_videos` for a FreshVideosSource: what an item's `source` says."""
    return name_of(source).removesuffix("_source")
