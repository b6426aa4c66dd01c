"""Feast's views: each tile view is a projection of its definition in `foryou/features/definitions`, under its own name
(Feast finds only named variables). A plain view is what an app's backend pushes."""

from datetime import timedelta

from entities import app, user, video
from feast import FeatureView, Field, FileSource, PushSource
from feast.types import Array, Float64, String

from foryou.features.definitions import VIEWS
from foryou.store.projection import feature_view

user_activity_v1 = feature_view(VIEWS["user_activity_v1"], app, user)
user_category_v1 = feature_view(VIEWS["user_category_v1"], app, user)
video_engagement_v1 = feature_view(VIEWS["video_engagement_v1"], app, video)
user_history_v1 = feature_view(VIEWS["user_history_v1"], app, user)
video_history_v1 = feature_view(VIEWS["video_history_v1"], app, video)

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

# What the night learnt: one vector per person, of the version that its row names. Newer days win, whatever the order.
user_embeddings = PushSource(
    name="user_embeddings",
    batch_source=FileSource(
        name="user_embeddings_history", path="user_embeddings.parquet", timestamp_field="event_timestamp"
    ),
    description="vectors of people, pushed by the nightly run",
)
user_embedding_v1 = FeatureView(
    name="user_embedding_v1",
    entities=[app, user],
    schema=[
        Field(name="app_id", dtype=String),
        Field(name="user_key", dtype=String),
        Field(name="vector", dtype=Array(Float64), description="compare with videos of the same version only"),
        Field(name="version", dtype=String, description="the version of vectors that it belongs to"),
    ],
    source=user_embeddings,
    ttl=timedelta(days=14),
    description="what a person likes, as the night learnt it (docs/trends-and-embeddings.md)",
    owner="feed",
)
