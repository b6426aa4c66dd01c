"""How the candidates do."""

from foryou.features.operations import DAY
from foryou.ranker.candidates import Candidates
from foryou.ranker.query import Query


class VideoRatesHydrator:
    """Features of video_engagement_v1 under their own names, the plays of a day, and the age in hours."""

    def hydrate(self, query: Query, candidates: Candidates) -> Candidates:
        """Adds the columns."""
        world, now_ms = query.world, query.request.now_ms
        age_ms = now_ms - world.catalogue.published_at[candidates.rows]
        return candidates.with_values(
            **world.rates.read(candidates.rows, now_ms),
            plays_24h=world.rates.total("plays", DAY, candidates.rows),
            age_hours=age_ms.clip(min=0) / 3_600_000,
        )
