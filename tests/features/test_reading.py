"""What a person's and a video's features are, by example. Times are words."""

import pytest

from foryou.features import merge, oracle
from foryou.features.definitions import VIEWS
from foryou.features.operations import DAY, HOUR, MINUTE

NOON = 1_800_014_400_000 // DAY * DAY + 12 * HOUR
SECOND = 1000
ME = ("demo", "uk_me")
VIDEO = ("demo", "v1")
_ids = iter(range(10**9))


def event(kind, time, video="v1", category="cats", **more):
    return {
        "event_id": f"{next(_ids):09d}", "app_id": "demo", "user_key": "uk_me", "event_type": kind, "video_id": video,
        "category": category, "event_time": time, "received_at": time, **more,
    }  # fmt: skip


def watch(time, video="v1", **more):
    return event("view_end", time, video, **({"watch_ms": 9000, "duration_ms": 10_000} | more))


def skip(time, video="v1", **more):
    return watch(time, video, **({"watch_ms": 500} | more))


def read(view, events, now, entity=ME):
    """As the store reads it; and the oracle must say the same."""
    clean = oracle.admit(events, DAY).clean
    tiles = oracle.tiles(VIEWS[view], clean).get(entity, {})
    features = merge.read(VIEWS[view], merge.decode(VIEWS[view], merge.encode(tiles)), now)
    assert features == oracle.features(VIEWS[view], clean, entity, now)
    return features


def test_a_stranger_has_features_too():
    assert read("user_activity_v1", [], NOON) == {
        "videos_watched_session": 0,
        "session_length_ms": 0,
        "session_skips": 0,
        "session_likes": 0,
        "seconds_since_last_engagement": None,
        "recent_videos": [],
        "recent_categories": [],
        "skip_streak": 0,
        "watch_ms_1h": 0,
        "videos_watched_24h": 0,
        "likes_24h": 0,
    }
    assert read("user_category_v1", [], NOON) == {"affinity_categories": [], "affinity_scores": []}


def test_an_evening_is_one_session_however_it_is_cut_into_minutes():
    evening = [
        watch(NOON - 3 * HOUR),  # before a longer silence
        event("app_open", NOON - 50 * MINUTE, None, None),
        watch(NOON - 45 * MINUTE, "v2"),
        skip(NOON - 20 * MINUTE, "v3", category="dogs"),
        event("like", NOON - 20 * MINUTE + 30 * SECOND, "v2"),
        watch(NOON - 5 * MINUTE, "v4"),
        skip(NOON - 4 * MINUTE, "v5", category="dogs"),
        skip(NOON - 3 * MINUTE, "v6", category="dogs"),
    ]
    assert read("user_activity_v1", evening, NOON) == {
        "videos_watched_session": 2,
        "session_length_ms": 47 * MINUTE,
        "session_skips": 3,
        "session_likes": 1,
        "seconds_since_last_engagement": 1170.0,
        "recent_videos": ["v6", "v5", "v4", "v2", "v3", "v1"],
        "recent_categories": ["dogs", "cats"],
        "skip_streak": 2,
        "watch_ms_1h": 19_500,
        "videos_watched_24h": 3,
        "likes_24h": 1,
    }


def test_thirty_minutes_of_silence_do_not_end_a_session():
    events = [watch(NOON - 30 * MINUTE), watch(NOON)]
    assert read("user_activity_v1", events, NOON)["videos_watched_session"] == 2


def test_a_millisecond_more_than_thirty_minutes_does():
    events = [watch(NOON - 30 * MINUTE - 1), watch(NOON)]
    assert read("user_activity_v1", events, NOON)["videos_watched_session"] == 1


def test_a_session_is_over_when_nothing_happened_for_longer_than_the_gap():
    assert read("user_activity_v1", [watch(NOON)], NOON + 30 * MINUTE)["videos_watched_session"] == 1
    assert read("user_activity_v1", [watch(NOON)], NOON + 30 * MINUTE + 1)["videos_watched_session"] == 0


def test_what_a_phone_sends_by_itself_keeps_no_session_open():
    events = [watch(NOON - 40 * MINUTE), event("network_change", NOON - 20 * MINUTE, None, None)]
    assert read("user_activity_v1", events, NOON)["session_length_ms"] == 0


def test_a_window_is_right_at_the_moment_of_reading_though_nothing_happens():
    events = [watch(NOON)]
    assert read("user_activity_v1", events, NOON + HOUR)["watch_ms_1h"] == 9000
    assert read("user_activity_v1", events, NOON + HOUR + MINUTE)["watch_ms_1h"] == 0


def test_a_short_view_of_a_short_video_is_no_skip():
    events = [watch(NOON, watch_ms=900, duration_ms=1000)]
    assert read("user_activity_v1", events, NOON)["session_skips"] == 0


def test_an_unknown_watch_time_is_no_skip_and_an_unknown_length_is_a_long_one():
    events = [watch(NOON, watch_ms=None), skip(NOON + 1, duration_ms=None)]
    features = read("user_activity_v1", events, NOON)
    assert (features["videos_watched_session"], features["session_skips"]) == (1, 1)


def test_a_like_between_skips_does_not_end_a_streak_and_a_watched_video_does():
    events = [skip(NOON), watch(NOON + 1), skip(NOON + 2), event("like", NOON + 3), skip(NOON + 4)]
    assert read("user_activity_v1", events, NOON)["skip_streak"] == 2


def test_a_like_taken_back_is_no_like_in_the_minute_that_it_was_given():
    events = [event("like", NOON), event("unlike", NOON + 10 * MINUTE)]
    assert read("user_activity_v1", events, NOON + 10 * MINUTE)["likes_24h"] == 0


def test_a_like_given_twice_counts_once_at_its_newest_time():
    events = [event("like", NOON - DAY), event("like", NOON)]
    assert read("user_activity_v1", events, NOON)["likes_24h"] == 1
    assert read("user_activity_v1", events, NOON + DAY)["likes_24h"] == 1


def test_a_video_is_recent_once():
    events = [watch(NOON + i, f"v{i % 3}") for i in range(9)]
    assert read("user_activity_v1", events, NOON)["recent_videos"] == ["v2", "v1", "v0"]


def test_twenty_videos_are_recent():
    events = [watch(NOON + i * MINUTE, f"v{i}") for i in range(30)]
    assert read("user_activity_v1", events, NOON + HOUR)["recent_videos"] == [f"v{i}" for i in range(29, 9, -1)]


def test_ten_likes_in_a_category_move_it_to_the_top_at_once():
    fan_of_dogs = [
        watch(NOON - day * DAY + i * MINUTE, f"d{i}", category="dogs", watch_ms=10_000)
        for day in range(1, 8)
        for i in range(20)
    ]
    likes = [event("like", NOON + i * SECOND, f"c{i}") for i in range(10)]
    before = read("user_category_v1", [*fan_of_dogs, watch(NOON - DAY)], NOON)
    after = read("user_category_v1", [*fan_of_dogs, watch(NOON - DAY), *likes], NOON + MINUTE)
    assert before["affinity_categories"] == ["dogs", "cats"]
    assert after["affinity_categories"] == ["cats", "dogs"]


def test_what_a_person_does_not_want_comes_last():
    events = [
        watch(NOON, "d", category="dogs"), skip(NOON, "c"), event("not_interested", NOON, "x", category="news"),
    ]  # fmt: skip
    features = read("user_category_v1", events, NOON)
    assert features["affinity_categories"] == ["dogs", "cats", "news"]
    assert features["affinity_scores"] == [0.0, pytest.approx(-0.5), pytest.approx(-6.0)]


def test_a_taste_fades():
    likes = [event("like", NOON, f"c{i}") for i in range(10)]
    scores = [
        read("user_category_v1", likes, NOON + later)["affinity_scores"][0] for later in (0, 30 * MINUTE, 3 * DAY)
    ]
    assert scores == [pytest.approx(30.0), pytest.approx(18.0, abs=0.1), pytest.approx(3.0)]


def test_a_new_video_has_the_usual_rates():
    assert read("video_engagement_v1", [], NOON, VIDEO) == {
        "plays_10m": 0,
        "plays_1h": 0,
        "watch_ms_1h": 0,
        "finish_rate_24h": 0.3,
        "like_rate_24h": 0.03,
        "skip_rate_24h": 0.3,
        "share_rate_24h": 0.005,
        "velocity": 1.0,
    }


def test_rates_are_divided_at_the_end_over_the_views_of_all_salts():
    views = [watch(NOON + i, watch_ms=10_000 if i < 60 else 500) for i in range(80)]
    features = read("video_engagement_v1", [*views, event("like", NOON)], NOON, VIDEO)
    assert features["finish_rate_24h"] == (60 + 0.3 * 20) / 100
    assert features["skip_rate_24h"] == (20 + 0.3 * 20) / 100
    assert features["like_rate_24h"] == (1 + 0.03 * 20) / 100


def test_a_video_that_takes_off_has_a_velocity_above_one():
    steady = [event("play_start", NOON - DAY + i * 30 * MINUTE) for i in range(48)]
    rush = [event("play_start", NOON - 5 * MINUTE + i * SECOND) for i in range(200)]
    assert read("video_engagement_v1", steady, NOON, VIDEO)["velocity"] == pytest.approx(0.86, abs=0.01)
    assert read("video_engagement_v1", [*steady, *rush], NOON, VIDEO)["velocity"] == pytest.approx(54.2, abs=0.5)
