"""Feast's views: each tile view is a projection of its definition in `foryou/features/definitions`, under its own name
(Feast finds only named variables). A plain view is what an app's backend pushes."""

from datetime import timedelta

from entities import app, user, video
from feast import FeatureView, Field, FileSource, PushSource
from feast.types import Array, String

from foryou.features.definitions import VIEWS
from foryou.store.projection import feature_view

user_activity_v1 = feature_view(VIEWS["user_activity_v1"], app, user)
user_category_v1 = feature_view(VIEWS["user_category_v1"], app, user)
video_engagement_v1 = feature_view(VIEWS["video_engagement_v1"], app, video)

# Interests that a person picked at sign-up: no event tells them, the app's backend pushes them once.
user_interests = PushSource(
    name="user_interests",
    batch_source=FileSource(
        name="user_interests_history", path="user_interests.parquet", timestamp_field="event_timestamp"
    ),
    description="interests picked at sign-up, pushed by the app's backend",
)
user_interests_v1 = FeatureView(
    name="user_interests_v1",
    entities=[app, user],
    schema=[
        Field(name="app_id", dtype=String),
        Field(name="user_key", dtype=String),
        Field(name="chosen_categories", dtype=Array(String), description="categories in the order they were picked"),
    ],
    source=user_interests,
    ttl=timedelta(0),
    description="what a person said about themself before there was anything to see",
    owner="feed",
)
