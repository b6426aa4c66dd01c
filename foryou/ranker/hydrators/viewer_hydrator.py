"""The viewer's own words and history, as numbers of this catalogue."""

from collections.abc import Iterable

import numpy as np

from foryou.ranker.catalogue import Rows
from foryou.ranker.query import Codes, Query, Viewer
from foryou.ranker.vocabulary import UNKNOWN


class ViewerHydrator:
    """Relations, what was served, and what the viewer acted on elsewhere (a shared link, a profile page)."""

    def hydrate(self, query: Query) -> Query:
        """Fills viewer, seen, region and language."""
        world, user_key = query.world, query.request.user_key
        catalogue, viewers = world.catalogue, world.viewers

        def creators(keys: Iterable[str]) -> Codes:
            codes = [catalogue.creators.find(key) for key in keys]
            return np.array([code for code in codes if code != UNKNOWN], np.int32)

        def videos(ids: Iterable[str]) -> Rows:
            rows = [catalogue.find(video_id) for video_id in ids]
            return np.array([row for row in rows if row >= 0], np.int32)

        acted_on = query.features.words("recent_videos") if query.features else []
        # By capacity, not by length: a row given out a moment later is unseen, not out of range.
        seen = np.zeros(catalogue.capacity, np.bool_)
        seen[viewers.seen(user_key)] = True
        seen[videos(acted_on)] = True
        return query.hydrated(
            viewer=Viewer(
                follows=creators(viewers.objects(user_key, "follow")),
                blocked=creators((*viewers.objects(user_key, "block"), *viewers.blockers(user_key))),
                hidden=creators(viewers.objects(user_key, "hide_creator")),
                not_interested=videos(viewers.objects(user_key, "not_interested")),
                itself=catalogue.creators.find(user_key),
            ),
            seen=seen,
            seen_count=int(np.count_nonzero(seen[: len(catalogue)])),
            region=catalogue.regions.find(query.request.region),
            language=catalogue.languages.find(query.request.language),
        )
