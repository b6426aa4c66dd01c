"""Strengths as numbers, creators as means: what is around the learning, without Spark."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from foryou.lake.embedding_evaluation import hold_out
from foryou.lake.embedding_rules import EmbeddingRules
from foryou.lake.embeddings import Vectors, Window, creators_of, liked

RULES = EmbeddingRules.load()
SCHEMA = pa.schema(
    {
        "app_id": pa.string(), "user_key": pa.string(), "video_id": pa.string(), "held_out": pa.bool_(),
        "creator_key": pa.string(), "weight": pa.int64(), "time": pa.int64(),
    }
)  # fmt: skip


def found(*rows):
    """Rows as (user, video, weight in thousandths, held out, creator, time); in the order that `strengths` promises."""
    full = [("demo", *row) for row in rows]
    full = [(app, user, video, held, creator, weight, time) for app, user, video, weight, held, creator, time in full]
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in sorted(full)], SCHEMA)


def seen(user, video, weight=1_000, held=False, creator="k1", time=1):
    return user, video, weight, held, creator, time


def test_users_and_videos_are_numbered_in_order_and_pairs_added_up():
    rows = found(
        seen("b", "v2", 500), seen("a", "v2", 300), seen("a", "v1", 1_000), seen("b", "v1", 700),
        seen("b", "v2", 250, held=True, time=9),
    )  # fmt: skip
    liking = liked(rows, RULES)
    assert liking.users["user_key"].to_pylist() == ["a", "b"]
    assert liking.videos.select(["video_id", "people"]).to_pylist() == [
        {"video_id": "v1", "people": 2},
        {"video_id": "v2", "people": 2},
    ]
    assert [tuple(pair.values()) for pair in liking.pairs.to_pylist()] == [
        (0, 0, 1.0, 1),
        (0, 1, pytest.approx(0.3), 1),
        (1, 0, pytest.approx(0.7), 1),
        (1, 1, 0.75, 9),
    ]


def test_a_video_of_one_person_and_a_person_of_such_videos_are_left_out():
    liking = liked(found(seen("a", "v1"), seen("b", "v1"), seen("c", "lonely"), seen("a", "alone")), RULES)
    assert liking.users["user_key"].to_pylist() == ["a", "b"]
    assert liking.videos["video_id"].to_pylist() == ["v1"]


def test_nobody_is_no_table_and_no_error():
    liking = liked(found(), RULES)
    assert (liking.users.num_rows, liking.videos.num_rows, liking.pairs.num_rows) == (0, 0, 0)


def test_one_person_cannot_say_more_than_so_much_about_a_video():
    liking = liked(found(seen("a", "v1", 10**6), seen("b", "v1")), RULES)
    assert liking.pairs["strength"].to_pylist() == [RULES.most_strength, 1.0]


def test_the_newest_word_names_the_creator():
    liking = liked(found(seen("a", "v", creator="old"), seen("b", "v", creator="new", time=5),
                         seen("c", "v", creator=None, time=9)), RULES)  # fmt: skip
    assert liking.videos["creator_key"].to_pylist() == ["new"]


def test_a_creator_is_the_mean_of_their_videos_by_people_of_length_one():
    liking = liked(
        found(
            *(seen(who, "v1", creator="k1") for who in "abc"),
            *(seen(who, "v2", creator="k1") for who in "abcd"),
            *(seen(who, "v3", creator="k0") for who in "ab"),
            *(seen(who, "v4", creator=None) for who in "ab"),
        ),
        RULES,
    )
    creators, vectors = creators_of(liking, np.array([[1, 0], [0, 1], [0, 5], [7, 7]], np.float32))
    assert creators.to_pylist() == [{"app_id": "demo", "creator_key": "k0"}, {"app_id": "demo", "creator_key": "k1"}]
    assert vectors.tolist() == [[0, 1], [pytest.approx(0.6, abs=1e-5), pytest.approx(0.8, abs=1e-5)]]


def test_what_is_held_out_is_new_to_the_person_and_known_to_the_model():
    rows = found(
        seen("a", "v1"), seen("b", "v1"), seen("a", "v2"), seen("b", "v2"), seen("b", "v3"), seen("c", "v3"),
        seen("a", "v1", held=True),  # known already
        seen("a", "v3", held=True),
        seen("a", "unheard", held=True),
        seen("stranger", "v1", held=True),
    )  # fmt: skip
    held = hold_out(rows, RULES)
    assert {who: rows.tolist() for who, rows in held.then.items()} == {0: [2]}
    assert held.before[0].tolist() == [0, 1]
    assert held.popular()(0).tolist() == [2, 2, 2]
    vectors = Vectors(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32))
    assert held.of(vectors)(2).tolist() == [0, 0, 1]


def test_the_window_ends_with_the_day_and_holds_out_its_last():
    window = Window.of(date(2026, 11, 28), RULES)
    assert window == Window(date(2026, 11, 1), date(2026, 11, 27), date(2026, 11, 28))
