"""The night's vectors in the ranker: read from a version's folder, swapped whole, never in a viewer's way."""

import json
import shutil
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foryou.ranker.pipeline import PIPELINE, rank
from foryou.ranker.sources.collaborative_source import CollaborativeSource
from foryou.ranker.sources.content_neighbours_source import ContentNeighboursSource
from foryou.ranker.testing import APP, NOW, content, published, query_of, relation, small_world
from foryou.ranker.vector_follower import VectorFollower
from foryou.ranker.vectors import BrokenVersion, Shown, load
from foryou.ranker.world import Worlds
from foryou.service.metrics import Metrics

VIDEOS = {"cat1": [1.0, 0.0], "cat2": [0.8, 0.1], "dog1": [0.0, 1.0], "dog2": [0.1, 0.9], "flat": [-0.5, -0.5]}
USERS = {"uk_viewer": [1.0, 0.0], "uk_other": [0.0, 1.0]}


def write(folder, version, videos=VIDEOS, users=USERS, app=APP, dims=2):
    """A version made by hand, in the documented format, and named as the current one."""
    home = folder / version
    home.mkdir(parents=True)
    for name, key, vectors in (("videos", "video_id", videos), ("users", "user_key", users)):
        columns = {"app_id": pa.array([app] * len(vectors), pa.string()), key: pa.array(list(vectors), pa.string())}
        columns["vector"] = pa.array(list(vectors.values()), pa.list_(pa.float32()))
        pq.write_table(pa.table(columns), home / f"{name}.parquet")
    meta = {"version": version, "dims": dims, "rows": {"videos": len(videos), "users": len(users)}}
    (home / "meta.json").write_text(json.dumps(meta), "utf-8")
    (folder / "CURRENT").write_text(version + "\n", "utf-8")


def world_with(*more):
    videos = [published(video, "dogs" if video.startswith("dog") else "cats") for video in (*VIDEOS, *more)]
    return small_world(videos)


def followed(folder, world):
    metrics = Metrics()
    follower = VectorFollower(folder, Worlds({APP: world}), metrics)
    follower.look()
    return follower, metrics


def names(world, rows):
    return [world.catalogue.ids[row] for row in rows.tolist()]


def test_the_videos_that_agree_with_the_viewer_come_best_first(tmp_path):
    world = world_with("new")
    write(tmp_path, "2026-11-20-a")
    followed(tmp_path, world)
    assert names(world, CollaborativeSource().fetch(hydrated(world))) == ["cat1", "cat2", "dog2"]
    assert names(world, CollaborativeSource().fetch(hydrated(world, user_key="uk_other"))) == ["dog1", "dog2", "cat2"]
    assert names(world, CollaborativeSource().fetch(hydrated(world, user_key="uk_stranger"))) == []


def hydrated(world, **asked):
    query = query_of(world, **asked)
    for hydrator in PIPELINE.query_hydrators:
        query = hydrator.hydrate(query)
    return query


def test_what_is_gone_or_seen_is_not_brought(tmp_path):
    world = world_with()
    write(tmp_path, "2026-11-20-a")
    followed(tmp_path, world)
    world.catalogue.apply(content("video_removed", "cat1", NOW + 1))
    world.viewers.mark_served("uk_viewer", [world.catalogue.find("dog2")])
    assert names(world, CollaborativeSource().fetch(hydrated(world))) == ["cat2"]


def test_neighbours_are_of_what_was_enjoyed_last(tmp_path):
    world = world_with()
    write(tmp_path, "2026-11-20-a")
    followed(tmp_path, world)
    liking = {"affinity_categories": ["dogs", "cats"], "affinity_scores": [2.0, 2.0]}

    def neighbours(**features):
        return names(world, ContentNeighboursSource().fetch(hydrated(world, features=liking | features)))

    assert neighbours(recent_videos=["dog1"]) == ["dog2", "cat2"]
    assert neighbours(recent_videos=["cat1", "dog1"], skip_streak=1) == ["dog2", "cat2"]
    assert neighbours(recent_videos=["dog1"], affinity_scores=[-2.0, 2.0]) == []
    assert neighbours() == []
    world.viewers.apply(relation("uk_viewer", "not_interested", "dog1"))
    assert neighbours(recent_videos=["dog1"]) == []


def test_a_page_names_the_version_and_the_taste_it_was_scored_on(tmp_path):
    world = world_with("new")
    assert query_of(world).model_version == query_of(world).weights.version
    write(tmp_path, "2026-11-20-a")
    followed(tmp_path, world)
    query = query_of(world)
    assert query.model_version == f"{query.weights.version}+2026-11-20-a"
    items = {item.video_id: item for item in rank(query).items}
    assert (items["cat1"].source, items["cat1"].features["taste"]) == ("collaborative", 1.0)
    assert items["new"].features["taste"] == 0.0


def test_the_pointer_is_followed_and_a_request_keeps_what_it_began_with(tmp_path):
    world = world_with()
    write(tmp_path, "2026-11-20-a")
    follower, _ = followed(tmp_path, world)
    begun = query_of(world)
    write(tmp_path, "2026-11-21-b", users={"uk_viewer": [0.0, 1.0]})
    follower.look()
    assert follower.version == "2026-11-21-b"
    assert begun.vectors.vectors.version == "2026-11-20-a"
    assert names(world, CollaborativeSource().fetch(hydrated(world))) == ["dog1", "dog2", "cat2"]


def test_pages_answered_while_versions_are_swapped_are_each_of_one_version(tmp_path):
    world = world_with()
    write(tmp_path, "v0")
    follower, _ = followed(tmp_path, world)
    wanted = {"v0": "cat1", "v1": "dog1"}  # whose taste is whose depends on the version
    write(tmp_path, "v1", users={"uk_viewer": [0.0, 1.0], "uk_other": [1.0, 0.0]})
    stop, wrong, seen = threading.Event(), [], set()

    def swap():
        turn = 0
        while not stop.is_set():
            (tmp_path / "CURRENT").write_text(f"v{turn % 2}\n", "utf-8")
            follower.look()
            turn += 1

    thread = threading.Thread(target=swap)
    thread.start()
    for number in range(150):
        query = hydrated(world, request_id=f"r{number}")
        version = query.model_version.partition("+")[2]
        seen.add(version)
        if names(world, CollaborativeSource().fetch(query))[0] != wanted.get(version):
            wrong.append(version)
    stop.set()
    thread.join()
    assert wrong == []
    assert seen <= {"v0", "v1"}


def says(home, instead_of, what):
    meta = home / "meta.json"
    meta.write_text(meta.read_text("utf-8").replace(instead_of, what), "utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        lambda home: (home / "users.parquet").unlink(),
        lambda home: (home / "meta.json").write_text("{"),
        lambda home: (home / "meta.json").write_text("[]"),
        lambda home: (home / "videos.parquet").write_bytes(b"PAR1"),
        lambda home: (home / "videos.parquet").write_bytes((home / "users.parquet").read_bytes()),
        lambda home: says(home, '"videos": 5', '"videos": 6'),
        lambda home: says(home, '"dims": 2', '"dims": 3'),
        lambda home: says(home, "-b", "-c"),
    ],
)  # fmt: skip
def test_a_broken_version_is_counted_and_the_one_before_stays(tmp_path, damage):
    world = world_with()
    write(tmp_path, "2026-11-20-a")
    follower, metrics = followed(tmp_path, world)
    write(tmp_path, "2026-11-21-b")
    damage(tmp_path / "2026-11-21-b")
    for _ in range(3):
        follower.look()
    assert metrics.value("foryou_ranker_broken_vectors_total") == 1
    assert (follower.version, "2026-11-21-b is broken" in (follower.lacks or "")) == ("2026-11-20-a", True)
    assert query_of(world).model_version.endswith("+2026-11-20-a")
    with pytest.raises(BrokenVersion):
        load(tmp_path, "2026-11-21-b")
    shutil.rmtree(tmp_path / "2026-11-21-b")
    write(tmp_path, "2026-11-21-b")  # the night made it whole, and named it again
    follower.look()
    assert (follower.version, follower.lacks) == ("2026-11-21-b", None)


def test_without_any_version_the_sources_are_empty_and_pages_are_full(tmp_path):
    world = world_with()
    follower, metrics = followed(tmp_path, world)
    assert follower.lacks == "there are no vectors yet"
    page = rank(query_of(world, limit=5))
    assert len(page.items) == 5
    assert (page.brought["collaborative"], page.brought["content_neighbours"]) == (0, 0)
    assert metrics.value("foryou_ranker_broken_vectors_total") == 0


def test_one_app_never_gets_another_apps_vectors(tmp_path):
    world = world_with()
    write(tmp_path, "2026-11-20-a", app="other")
    followed(tmp_path, world)
    assert world.vectors is None


def test_videos_published_later_find_their_vectors_when_the_catalogue_has_grown(tmp_path):
    world = small_world([published("cat1")])
    write(tmp_path, "2026-11-20-a")
    follower, _ = followed(tmp_path, world)
    assert len(world.vectors.rows) == 1
    for number in range(200):
        world.catalogue.apply(published(f"other{number}"))
    for video in VIDEOS:
        world.catalogue.apply(published(video))
    assert world.vectors.places(np.array([world.catalogue.find("dog2")])).tolist() == [-1]  # not looked up yet
    follower.look()
    assert len(world.vectors.rows) == len(VIDEOS)
    same = world.vectors
    follower.look()
    assert world.vectors is same
    assert isinstance(same, Shown)
