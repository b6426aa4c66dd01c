"""The feed's pipeline: a list of stages, and one page of straight code that runs it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from foryou.contract.ids import uuid7
from foryou.ranker.candidates import Candidates, gather
from foryou.ranker.catalogue import Rows
from foryou.ranker.diversity.page_selector import PageSelector
from foryou.ranker.filters.blocked_creators_filter import BlockedCreatorsFilter
from foryou.ranker.filters.eligible_filter import EligibleFilter
from foryou.ranker.filters.hidden_creators_filter import HiddenCreatorsFilter
from foryou.ranker.filters.not_interested_filter import NotInterestedFilter
from foryou.ranker.filters.own_videos_filter import OwnVideosFilter
from foryou.ranker.filters.seen_videos_filter import SeenVideosFilter
from foryou.ranker.hydrators.affinity_hydrator import AffinityHydrator
from foryou.ranker.hydrators.impersonal_hydrator import ImpersonalHydrator
from foryou.ranker.hydrators.taste_hydrator import TasteHydrator
from foryou.ranker.hydrators.video_rates_hydrator import VideoRatesHydrator
from foryou.ranker.hydrators.viewer_hydrator import ViewerHydrator
from foryou.ranker.query import Query
from foryou.ranker.scorers.expected_value_scorer import ExpectedValueScorer
from foryou.ranker.scorers.exploration_scorer import ExplorationScorer
from foryou.ranker.scorers.preference_scorer import PreferenceScorer
from foryou.ranker.sources.category_affinity_source import CategoryAffinitySource
from foryou.ranker.sources.collaborative_source import CollaborativeSource
from foryou.ranker.sources.content_neighbours_source import ContentNeighboursSource
from foryou.ranker.sources.discovery_source import DiscoverySource
from foryou.ranker.sources.followed_creators_source import FollowedCreatorsSource
from foryou.ranker.sources.fresh_videos_source import FreshVideosSource
from foryou.ranker.sources.regional_source import RegionalSource
from foryou.ranker.sources.trending_source import TrendingSource
from foryou.ranker.stages import CandidateHydrator, Filter, QueryHydrator, Scorer, Source, name_of, source_name


@dataclass(frozen=True)
class Pipeline:
    """Stages in the order of execution. A candidate remembers the first source, in this order, that brought it."""

    query_hydrators: tuple[QueryHydrator, ...]
    sources: tuple[Source, ...]
    filters: tuple[Filter, ...]
    candidate_hydrators: tuple[CandidateHydrator, ...]
    scorers: tuple[Scorer, ...]
    selector: PageSelector
    explored: type[Source]  # the source whose videos get places of their own


PIPELINE = Pipeline(
    query_hydrators=(ViewerHydrator(), AffinityHydrator()),
    sources=(
        FollowedCreatorsSource(),
        CollaborativeSource(),
        ContentNeighboursSource(),
        CategoryAffinitySource(),
        TrendingSource(),
        FreshVideosSource(),
        RegionalSource(),
        DiscoverySource(),
    ),
    filters=(
        EligibleFilter(),
        BlockedCreatorsFilter(),
        HiddenCreatorsFilter(),
        NotInterestedFilter(),
        OwnVideosFilter(),
        SeenVideosFilter(),
    ),
    candidate_hydrators=(VideoRatesHydrator(), TasteHydrator()),
    scorers=(ExpectedValueScorer(), PreferenceScorer(), ExplorationScorer()),
    selector=PageSelector(),
    explored=FreshVideosSource,
)


# No stage of it knows what the viewer did: for who has not agreed to personalisation.
IMPERSONAL = replace(
    PIPELINE,
    query_hydrators=(ViewerHydrator(), ImpersonalHydrator(), AffinityHydrator()),
    sources=(TrendingSource(), FreshVideosSource(), RegionalSource(), DiscoverySource()),
)


@dataclass(frozen=True)
class Item:
    """One place of a page. `creator_id` on the wire is the creator's key."""

    video_id: str
    impression_id: str
    position: int
    creator_key: str
    duration_ms: int
    category: str | None
    source: str
    score: float
    features: dict[str, float]


@dataclass(frozen=True)
class Page:
    """A page and how it came about: per stage the seconds it took, per source and filter what it brought or removed."""

    items: tuple[Item, ...]
    rows: Rows
    brought: dict[str, int]
    removed: dict[str, Rows]
    relaxed: int
    seconds: dict[str, float]


class _Stopwatch(dict[str, float]):
    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock, self._at = clock, clock()

    def lap(self, stage: object) -> None:
        now = self._clock()
        self[name_of(stage)], self._at = now - self._at, now


def rank(query: Query, pipeline: Pipeline = PIPELINE, clock: Callable[[], float] = time.perf_counter) -> Page:
    """One page for one query. Reads the world, changes nothing; the caller marks the page as served."""
    took = _Stopwatch(clock)
    for hydrator in pipeline.query_hydrators:
        query = hydrator.hydrate(query)
        took.lap(hydrator)

    found: list[Rows] = []
    for source in pipeline.sources:
        found.append(source.fetch(query))
        took.lap(source)
    candidates = gather(found)
    brought = {source_name(source): len(rows) for source, rows in zip(pipeline.sources, found, strict=True)}

    removed: dict[str, Rows] = {}
    for filter_ in pipeline.filters:
        result = filter_.filter(query, candidates)
        candidates, removed[name_of(filter_)] = result.kept, result.removed
        took.lap(filter_)

    for candidate_hydrator in pipeline.candidate_hydrators:
        candidates = candidate_hydrator.hydrate(query, candidates)
        took.lap(candidate_hydrator)

    for scorer in pipeline.scorers:
        candidates = scorer.score(query, candidates)
        took.lap(scorer)

    explored = [type(source) for source in pipeline.sources].index(pipeline.explored)
    selection = pipeline.selector.select(query, candidates, explored)
    page = candidates.take(selection.picked)
    took.lap(pipeline.selector)
    return Page(_items(query, pipeline, page), page.rows, brought, removed, selection.relaxed, dict(took))


def _items(query: Query, pipeline: Pipeline, page: Candidates) -> tuple[Item, ...]:
    catalogue, sources = query.world.catalogue, [source_name(source) for source in pipeline.sources]
    columns = {name: column.tolist() for name, column in page.values.items()}
    return tuple(
        Item(
            video_id=catalogue.ids[row],
            impression_id=uuid7(query.request.now_ms),
            position=position,
            creator_key=catalogue.creator_key(row),
            duration_ms=int(catalogue.duration_ms[row]),
            category=catalogue.category_name(row),
            source=sources[int(page.source[position])],
            score=float(page.score[position]),
            features={name: column[position] for name, column in columns.items()},
        )
        for position, row in enumerate(page.rows.tolist())
    )
