"""The definitions that there are, and definitions that could not mean what they say."""

from dataclasses import fields, replace
from typing import get_args

import fastavro
import pytest

from foryou.features.compilers.avro import tile_schema
from foryou.features.compilers.feast import feast_fields
from foryou.features.compilers.flink import flink_columns
from foryou.features.definitions import VIEWS
from foryou.features.operations import (
    DAY,
    HOUR,
    MINUTE,
    Count,
    Operation,
    Reading,
    SessionSum,
    Toggle,
    Total,
    WindowSum,
)
from foryou.features.spec import BadDefinition, Feature, Measure, Resolution

USER_ACTIVITY, USER_CATEGORY = VIEWS["user_activity_v1"], VIEWS["user_category_v1"]
VIDEO_ENGAGEMENT = VIEWS["video_engagement_v1"]
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)


def test_the_features_that_others_rely_on_are_there():
    assert {name: [f.name for f in view.features] for name, view in VIEWS.items()} == {
        "user_activity_v1": [
            "videos_watched_session", "session_length_ms", "session_skips", "session_likes",
            "seconds_since_last_engagement", "recent_videos", "recent_categories", "skip_streak", "watch_ms_1h",
            "videos_watched_24h", "likes_24h",
        ],
        "user_category_v1": ["affinity_categories", "affinity_scores"],
        "video_engagement_v1": [
            "plays_10m", "plays_1h", "watch_ms_1h", "finish_rate_24h", "like_rate_24h", "skip_rate_24h",
            "share_rate_24h", "velocity",
        ],
        "user_history_v1": [
            "watch_ms_7d", "watch_ms_30d", "videos_watched_7d", "videos_watched_30d", "likes_7d", "likes_30d",
            "shares_30d", "comments_30d", "finish_rate_30d", "skip_rate_30d",
        ],
        "video_history_v1": [
            "plays_7d", "plays_30d", "watch_ms_7d", "likes_30d", "shares_30d", "finish_rate_7d", "skip_rate_7d",
        ],
    }  # fmt: skip


def test_the_definitions_use_every_operation_but_total_and_every_reading():
    used = {type(m.op) for v in VIEWS.values() for m in v.measures} | {
        type(f.read) for v in VIEWS.values() for f in v.features
    }
    # Total is there for views to come: tests/features/test_one_definition.py has one.
    assert used | {Total} == {*get_args(Operation), *get_args(Reading)}


@EVERY_VIEW
def test_a_tile_is_avro_with_its_key_first_and_its_measures_last(view):
    schema = tile_schema(view)
    fastavro.parse_schema(schema)
    names = [field["name"] for field in schema["fields"]]
    assert names == [*view.key_columns, "epoch", "n", "first_ms", "last_ms", *(m.name for m in view.measures)]
    assert [name for name, _ in flink_columns(schema)] == names


@EVERY_VIEW
def test_a_measure_can_be_added_later_because_each_has_a_default(view):
    assert all("default" in field for field in tile_schema(view)["fields"][-len(view.measures) :])


@EVERY_VIEW
def test_feast_lists_the_features_with_types_that_it_has(view):
    types = {"Int64", "Float64", "String", "Array(String)", "Array(Float64)"}
    listed = feast_fields(view)
    assert [field.name for field in listed] == [feature.name for feature in view.features]
    assert {field.dtype for field in listed} <= types
    assert all(field.doc and field.tags["reading"] for field in listed)


def test_names_follow_from_name_and_version():
    assert (USER_ACTIVITY.full_name, USER_ACTIVITY.topic) == ("user_activity_v1", "features.user_activity.v1")
    assert USER_CATEGORY.key_columns == ("app_id", "user_key", "category", "salt", "tile_ms", "tile_start")


def with_measure(op):
    return {"measures": (*VIDEO_ENGAGEMENT.measures, Measure("new", op, "doc"))}


def with_feature(read, dtype="int64", doc="doc"):
    return {"features": (*VIDEO_ENGAGEMENT.features, Feature("new", dtype, read, doc))}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"where": "vidoe_id IS NOT NULL"}, "no column vidoe_id"),
        ({"where": "watch_ms"}, "is integer, not boolean"),
        ({"facet": "loops"}, "not a string column"),
        ({"name": "Video-Engagement"}, "is not a name"),
        ({"doc": ""}, "needs an owner and a doc"),
        ({"salts": 0}, "count from 1"),
        ({"tiles": ()}, "needs tiles"),
        ({"tiles": (Resolution(7 * MINUTE, keep=DAY),)}, "divide a day"),
        ({"tiles": (Resolution(HOUR, keep=MINUTE),)}, "at least its own length"),
        ({"tiles": (Resolution(MINUTE, keep=HOUR), Resolution(HOUR, keep=HOUR))}, "kept for as long"),
        (with_measure(Count("event_type = 3")), "mixes integer and string"),
        (with_measure(Total("category", "TRUE")), "is string, not integer"),
        (with_measure(Toggle("lik")), "no relation 'lik'"),
        ({"measures": (*VIDEO_ENGAGEMENT.measures, VIDEO_ENGAGEMENT.measures[0])}, "listed twice"),
        ({"measures": (*VIDEO_ENGAGEMENT.measures, Measure("n", Count("TRUE"), "d"))}, "columns of every tile"),
        ({"measures": (*VIDEO_ENGAGEMENT.measures, USER_ACTIVITY.measures[-1])}, "only a view of people"),
        (with_feature(WindowSum("playz", HOUR, MINUTE)), "'playz'"),
        (with_feature(WindowSum("plays", DAY, MINUTE)), "kept for as long"),
        (with_feature(WindowSum("plays", HOUR, MINUTE), dtype="string"), "cannot be string"),
        (with_feature(WindowSum("plays", HOUR, MINUTE), doc=""), "needs a doc"),
        (with_feature(SessionSum("plays")), "fold over minute tiles"),
        (with_feature(replace(USER_CATEGORY.features[0].read), dtype="list_string"), "facets of a view"),
        (with_feature(replace(VIDEO_ENGAGEMENT.features[3].read, weight=0.0), dtype="float64"), "keeps the ratio"),
        (with_feature(replace(VIDEO_ENGAGEMENT.features[3].read, denominator="likes"), dtype="float64"), "Count"),
    ],
)
def test_a_definition_that_could_not_mean_what_it_says_is_refused(change, why):
    assert set(change) <= {field.name for field in fields(VIDEO_ENGAGEMENT)}
    with pytest.raises(BadDefinition, match=why):
        replace(VIDEO_ENGAGEMENT, **change)
