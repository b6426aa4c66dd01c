"""The online store as Feast uses it: tile views merged at the moment of reading, plain views guarded by event time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.types import Array, String

from foryou.features.definitions import VIEWS
from foryou.features.operations import HOUR, MINUTE
from foryou.store.online import TileOnlineStoreConfig, follow_registry
from foryou.store.projection import feature_view
from foryou.store.rows import PLAIN, TILES, stored_offsets, views_with
from foryou.store.testing import action, tile
from foryou.store.writer import Writer

NOON = 1_795_176_000_000
ACTIVITY = VIEWS["user_activity_v1"]
CATEGORY = VIEWS["user_category_v1"]
VIDEO = VIEWS["video_engagement_v1"]
ANN = {"app_id": "demo", "user_key": "ann"}

app = Entity(name="app", join_keys=["app_id"], value_type=ValueType.STRING)
user = Entity(name="user", join_keys=["user_key"], value_type=ValueType.STRING)
video = Entity(name="video", join_keys=["video_id"], value_type=ValueType.STRING)


def plain_view(name="picked_v1", ttl=timedelta(0)):
    source = PushSource(
        name=f"{name}_pushed",
        batch_source=FileSource(name=f"{name}_batch", path="x.parquet", timestamp_field="event_timestamp"),
    )
    schema = [Field(name=n, dtype=String) for n in ("app_id", "user_key", "colour")]
    return FeatureView(
        name=name,
        entities=[app, user],
        schema=[*schema, Field(name="tags", dtype=Array(String))],
        source=source,
        ttl=ttl,
    )


@pytest.fixture
def store(rows, clock, tmp_path):
    config = RepoConfig(
        project="foryou",
        provider="local",
        registry={
            "path": str(tmp_path / "registry.db"),
            "registry_store_type": "foryou.store.registry.AtomicFileRegistryStore",
        },
        online_store=TileOnlineStoreConfig(mode="primary").model_dump(),
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
        repo_path=tmp_path,
    )
    store = FeatureStore(config=config)
    store._get_provider().online_store.attach(rows, clock)
    tile_views = [feature_view(view, app, user if view.entity == "user_key" else video) for view in VIEWS.values()]
    store.apply([app, user, video, *tile_views, plain_view()])
    return store


@pytest.fixture
def send(rows, topics, metrics, clock):
    writer = Writer(rows, topics.source, topics.decode, VIEWS, metrics, clock)
    writer.start()

    def send(view, *records):
        for record in records:
            topics.send(view, record)
        while writer.step():
            pass

    return send


def read(store, *references, entity=ANN):
    answer = store.get_online_features(list(references), [entity]).to_dict()
    return {name: values[0] for name, values in answer.items() if name not in entity}


def push(store, *rows, name="picked_v1_pushed"):
    frame = pd.DataFrame(
        [ANN | {"event_timestamp": moment, "colour": colour, "tags": ["a"]} for moment, colour in rows]
    )
    store.push(name, frame)


def at(ms):
    return datetime.fromtimestamp(ms / 1000, UTC)


# tile views


def test_windows_and_sessions_are_right_at_the_moment_of_reading(store, send, clock):
    send(
        ACTIVITY,
        tile(ACTIVITY, "ann", NOON - 10 * MINUTE, likes=1, watched=3, watch_ms=60_000),
        tile(
            ACTIVITY,
            "ann",
            NOON - MINUTE,
            likes=2,
            watched=1,
            watch_ms=9_000,
            engaged=NOON - 30_000,
            last_ms=NOON - 30_000,
        ),
    )
    references = [f"user_activity_v1:{name}" for name in ("likes_24h", "session_likes", "watch_ms_1h")]
    since = "user_activity_v1:seconds_since_last_engagement"
    assert read(store, *references, since) == {
        "likes_24h": 3,
        "session_likes": 3,
        "watch_ms_1h": 69_000,
        "seconds_since_last_engagement": 30.0,
    }
    clock.now = NOON + 2 * HOUR  # nothing was written
    assert read(store, *references, since) == {
        "likes_24h": 3,
        "session_likes": 0,
        "watch_ms_1h": 0,
        "seconds_since_last_engagement": 7_230.0,
    }


def test_lists_come_back_newest_first(store, send):
    actions = [action(NOON - 50_000, "v1", "comedy"), action(NOON - 40_000, "v2", "cats")]
    send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, actions=actions))
    assert read(store, "user_activity_v1:recent_videos", "user_activity_v1:recent_categories") == {
        "recent_videos": ["v2", "v1"],
        "recent_categories": ["cats", "comedy"],
    }


def test_facets_of_a_person_are_read_together(store, send):
    weights = dict.fromkeys([m.name for m in CATEGORY.measures], 1)
    send(
        CATEGORY,
        tile(CATEGORY, "ann", NOON - HOUR, facet="cats", **{**weights, "likes": 9}),
        tile(CATEGORY, "ann", NOON - HOUR, facet="comedy", **weights),
    )
    found = read(store, "user_category_v1:affinity_categories", "user_category_v1:affinity_scores")
    assert found["affinity_categories"] == ["cats", "comedy"]
    assert found["affinity_scores"][0] > found["affinity_scores"][1]


def test_salts_are_merged_when_read(store, send):
    start = NOON - 5 * MINUTE
    send(VIDEO, *(tile(VIDEO, "v1", start, salt=salt, tile_ms=MINUTE, plays=2) for salt in range(4)))
    assert read(store, "video_engagement_v1:plays_1h", entity={"app_id": "demo", "video_id": "v1"}) == {"plays_1h": 8}


def test_the_event_time_is_that_of_the_newest_event(store, send):
    send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, last_ms=NOON - 1_500))
    answer = store.get_online_features(["user_activity_v1:likes_24h"], [ANN]).proto
    assert answer.results[-1].event_timestamps[0].ToMilliseconds() == NOON - 1_500


def test_an_unknown_entity_and_one_whose_tiles_have_expired_are_not_found(store, send, clock):
    send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=1))
    assert read(store, "user_activity_v1:likes_24h", entity={"app_id": "demo", "user_key": "nobody"}) == {
        "likes_24h": None
    }
    assert read(store, "user_activity_v1:likes_24h", entity={"app_id": "other", "user_key": "ann"}) == {
        "likes_24h": None
    }
    clock.now = NOON + 48 * HOUR
    assert read(store, "user_activity_v1:likes_24h") == {"likes_24h": None}


def test_several_entities_are_answered_in_the_order_asked(store, send):
    send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=1), tile(ACTIVITY, "ben", NOON - MINUTE, likes=2))
    asked = [{"app_id": "demo", "user_key": name} for name in ("ben", "nobody", "ann", "ben")]
    answer = store.get_online_features(["user_activity_v1:likes_24h"], asked).to_dict()
    assert answer["likes_24h"] == [2, None, 1, 2]


def test_reading_without_waiting_gives_the_same(store, send):
    send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=1))
    answer = asyncio.run(store.get_online_features_async(["user_activity_v1:likes_24h"], [ANN])).to_dict()
    assert answer["likes_24h"] == [1]


def test_a_tile_view_is_not_written_through_feast(store):
    online = store._get_provider().online_store
    with pytest.raises(ValueError, match=r"its tiles come from topic features\.user_activity\.v1"):
        online.online_write_batch(store.config, store.get_feature_view("user_activity_v1"), [], None)


# plain views


@pytest.mark.parametrize("batches", [[[0, 1]], [[1, 0]], [[0], [1]], [[1], [0]]], ids=str)
def test_the_newest_event_time_wins_within_a_batch_and_across(store, batches):
    offered = [(at(NOON - HOUR), "old"), (at(NOON - MINUTE), "new")]
    for batch in batches:
        push(store, *(offered[i] for i in batch))
    assert read(store, "picked_v1:colour", "picked_v1:tags") == {"colour": "new", "tags": ["a"]}


def test_the_same_event_time_corrects(store):
    push(store, (at(NOON - HOUR), "first"))
    push(store, (at(NOON - HOUR), "second"))
    assert read(store, "picked_v1:colour") == {"colour": "second"}


def test_a_time_without_zone_is_utc(store):
    push(store, (at(NOON - HOUR), "zoned"))
    push(store, (at(NOON - HOUR - 1).replace(tzinfo=None), "older"))
    assert read(store, "picked_v1:colour") == {"colour": "zoned"}


def test_a_row_from_far_ahead_would_win_for_ever_and_is_refused(store):
    with pytest.raises(ValueError, match="in the future"):
        push(store, (at(NOON + 48 * HOUR), "tomorrow"))


def test_a_row_older_than_its_views_ttl_is_gone(store, clock):
    store.apply([plain_view("short_v1", ttl=timedelta(hours=1))])
    push(store, (at(NOON - 30 * MINUTE), "fresh"), name="short_v1_pushed")
    assert read(store, "short_v1:colour") == {"colour": "fresh"}
    clock.now = NOON + HOUR
    assert read(store, "short_v1:colour") == {"colour": None}


def test_null_and_nothing_listed_are_null(store):
    frame = pd.DataFrame([ANN | {"event_timestamp": at(NOON), "colour": None, "tags": ["a"]}])
    store.push("picked_v1_pushed", frame)
    assert read(store, "picked_v1:colour") == {"colour": None}


# apply


def test_a_removed_plain_view_takes_its_rows_along(store, rows):
    push(store, (at(NOON), "red"))
    assert views_with(rows, PLAIN) == ["picked_v1"]
    store.apply([], objects_to_delete=[store.get_feature_view("picked_v1")], partial=False)
    assert views_with(rows, PLAIN) == []


def test_a_removed_tile_view_takes_its_rows_and_offsets_along(store, rows, send):
    send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE))
    send(VIDEO, tile(VIDEO, "v1", NOON - MINUTE))
    store.apply([], objects_to_delete=[store.get_feature_view("user_activity_v1")], partial=False)
    assert views_with(rows, TILES) == ["video_engagement_v1"]
    assert stored_offsets(rows, ACTIVITY.topic) == {}
    assert stored_offsets(rows, VIDEO.topic) != {}


def test_what_a_shell_applied_is_followed(store, rows, send):
    push(store, (at(NOON), "red"))
    send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE))
    follow_registry(rows, list(VIEWS))
    assert (views_with(rows, PLAIN), views_with(rows, TILES)) == ([], ["user_activity_v1"])
    follow_registry(rows, [])
    assert views_with(rows, TILES) == []


def test_teardown_leaves_nothing(store, rows, send):
    push(store, (at(NOON), "red"))
    send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE))
    store.teardown()
    assert (views_with(rows, PLAIN), views_with(rows, TILES)) == ([], [])
