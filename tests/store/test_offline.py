"""`get_historical_features` through Feast's own SDK, from the lake's tiles."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pandas as pd
import pytest
from feast import FeatureStore, RepoConfig

from foryou.features import point_in_time
from foryou.features.definitions import VIEWS
from foryou.features.operations import HOUR, MINUTE
from foryou.lake.tables import Lake
from foryou.service.settings import Settings
from foryou.store.serving import FEATURE_REPO, _objects, config

from ..lake.delta_tables import lay_tiles, tile

NOON = 1_795_176_000_000
ACTIVITY, CATEGORY, VIDEO = (VIEWS[f"{name}_v1"] for name in ("user_activity", "user_category", "video_engagement"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    settings, lake = Settings(home), Lake(home / "lake")
    lay_tiles(
        lake,
        VIDEO,
        [
            tile(VIDEO, "v1", MINUTE, NOON - 3 * MINUTE, plays=4),
            tile(VIDEO, "v1", MINUTE, NOON, plays=1_000),  # the future, planted
            tile(VIDEO, "v2", MINUTE, NOON - 3 * MINUTE, plays=7),
            tile(VIDEO, "v1", MINUTE, NOON - 3 * MINUTE, app="other", plays=99),
        ],
    )
    lay_tiles(
        lake,
        CATEGORY,
        [
            tile(CATEGORY, "u1", HOUR, NOON - 2 * HOUR, facet="cats", views=3, likes=2),
            tile(CATEGORY, "u1", HOUR, NOON, facet="dogs", views=3, likes=50),
        ],
    )
    said = config(settings, {"type": "sqlite", "path": str(home / "online.db")})
    store = FeatureStore(config=RepoConfig(**said, repo_path=FEATURE_REPO))
    store.apply(_objects(FEATURE_REPO))
    return SimpleNamespace(store=store, lake=lake)


def rows(*listed):
    return pd.DataFrame(
        [
            {
                "app_id": "demo",
                "user_key": user,
                "video_id": video,
                "event_timestamp": datetime.fromtimestamp(ms / 1e3, UTC),
            }
            for user, video, ms in listed
        ]
    )


def test_each_row_gets_what_was_known_at_its_own_moment(stack):
    asked = rows(("u1", "v1", NOON + 30_000), ("u1", "v1", NOON + MINUTE), ("u2", "v2", NOON), ("u1", "v9", NOON))
    found = stack.store.get_historical_features(asked, ["video_engagement_v1:plays_10m"]).to_df()
    assert found["plays_10m"].tolist() == [4, 1_004, 7, 0]
    assert found["video_id"].tolist() == ["v1", "v1", "v2", "v9"]


def test_views_of_people_and_of_videos_are_read_together_by_their_full_names(stack):
    features = ["user_category_v1:affinity_categories", "video_engagement_v1:plays_10m"]
    asked = rows(("u1", "v1", NOON + 30_000), ("nobody", "v2", NOON + 30_000))
    found = stack.store.get_historical_features(asked, features, full_feature_names=True).to_df()
    assert [None if value is None else list(value) for value in found["user_category_v1__affinity_categories"]] == [
        ["cats"],
        None,
    ]
    assert found["video_engagement_v1__plays_10m"].tolist() == [4, 7]


def test_a_leak_from_the_future_is_seen_once_the_guard_is_gone(stack, monkeypatch):
    def plays():
        job = stack.store.get_historical_features(rows(("u1", "v1", NOON + 30_000)), ["video_engagement_v1:plays_10m"])
        return job.to_df()["plays_10m"].tolist()

    assert plays() == [4]
    monkeypatch.setattr(point_in_time, "ended", lambda key, moment: True)
    assert plays() == [1_004]


def test_a_view_without_tiles_and_rows_without_a_key_say_so(stack):
    with pytest.raises(ValueError, match="user_activity_v1 has no past yet"):
        stack.store.get_historical_features(
            rows(("u1", "v1", NOON)), [f"user_activity_v1:{ACTIVITY.features[0].name}"]
        ).to_df()
    with pytest.raises(ValueError, match="app_id is missing"):
        stack.store.get_historical_features(
            rows(("u1", "v1", NOON)).drop(columns="app_id"), ["video_engagement_v1:plays_10m"]
        )
