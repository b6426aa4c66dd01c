"""The feed on the real parts: what is published, tapped, blocked, removed or killed shows on the next page."""

import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition

from foryou.contract.topics import TOPICS
from foryou.local import state as stack_state
from foryou.local.home import Home
from foryou.service.settings import Settings

from ..lanes import until

GENRES = 20
SERVED = "feed.served.v1"
VIDEOS = 1_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class App:
    """One app's phone and backend, over HTTP alone; its videos, creators and viewers have names of their own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tag = uuid.uuid4().hex[:8]
        key = next(iter(settings.secrets().write_keys))
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self.collector = httpx.Client(base_url=settings.url("collector"), headers=headers, timeout=20)
        self.ranker = httpx.Client(base_url=settings.url("ranker"), headers=headers, timeout=20)

    def post(self, *events: dict[str, Any]) -> None:
        for start in range(0, len(events), 500):
            body = json.dumps([{"event_time": now_ms(), **event} for event in events[start : start + 500]])
            answer = self.collector.post("/v1/events", content=body)
            assert answer.status_code == 202, answer.text

    def video(self, number: int) -> str:
        return f"{self.tag}-v{number}"

    def publish(self, numbers: range) -> None:
        self.post(
            *(
                {"event_type": "video_published", "video_id": self.video(i), "creator_id": f"{self.tag}-c{i % 250}"}
                | {"category": f"genre{i % GENRES}", "duration_ms": 15_000, "language": "en", "region": "DE"}
                for i in numbers
            )
        )

    def logged(self) -> int:
        """How many feeds Kafka has of all viewers."""
        consumer = Consumer({"bootstrap.servers": self.settings.kafka, "group.id": "foryou-tests"})
        try:
            parts = range(TOPICS[SERVED].partitions)
            return sum(consumer.get_watermark_offsets(TopicPartition(SERVED, part), timeout=10)[1] for part in parts)
        finally:
            consumer.close()

    def feed(self, viewer: str, limit: int = 10) -> dict[str, Any]:
        answer = self.ranker.get("/v1/feed", params={"user_id": f"{self.tag}-{viewer}", "limit": limit})
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def ids(self, viewer: str, limit: int = 10) -> list[str]:
        return [item["video_id"] for item in self.feed(viewer, limit)["items"]]

    def seconds_until(self, what: str, holds: Callable[[], bool]) -> float:
        started = time.monotonic()
        until(what, holds, within_s=60, every_s=0.05)
        return time.monotonic() - started

    def stored(self, view: str, viewer: str) -> dict[str, Any]:
        """What the store holds of a viewer: tiles, and the features merged from them."""
        key = self.settings.secrets().identity.user_key("demo", f"{self.tag}-{viewer}")
        answer = httpx.get(f"{self.settings.url('store')}/tiles/{view}/{key}", params={"app_id": "demo"}, timeout=20)
        stored: dict[str, Any] = answer.json() if answer.status_code == 200 else {"tiles": [], "features": {}}
        return stored

    def blended(self, videos: list[str]) -> bool:
        """Whether the blender knows the videos: a scout's impressions of them all count for a category."""
        counted = sum(tile["n"] for tile in self.stored("user_category_v1", "scout")["tiles"])
        seen = sum(tile["n"] for tile in self.stored("user_activity_v1", "scout")["tiles"])
        self.post(
            *({"event_type": "impression", "user_id": f"{self.tag}-scout", "video_id": video} for video in videos)
        )
        until(
            "the scout's impressions are stored",
            lambda: sum(t["n"] for t in self.stored("user_activity_v1", "scout")["tiles"]) >= seen + len(videos),
        )
        return sum(t["n"] for t in self.stored("user_category_v1", "scout")["tiles"]) >= counted + len(videos)

    def kill(self, part: str) -> None:
        """kill -9, and wait until the supervisor has brought the part back."""
        before = self.part(part)
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        until(f"{part} is back", lambda: self.part(part).phase == "healthy" and self.part(part).pid != before.pid)

    def part(self, name: str) -> stack_state.PartState:
        state = stack_state.load(Home(self.settings.home).state)
        assert state is not None
        return state.parts[name]


@pytest.fixture(scope="module")
def app(stack) -> App:
    app = App(stack.settings)
    app.publish(range(VIDEOS))
    app.seconds_until("videos are eligible", lambda: any(i.startswith(app.tag) for i in app.ids("probe", 50)))
    until("features are read", lambda: app.feed("probe")["fallback"] is None)
    return app


def test_ten_likes_in_one_category_change_the_next_page(app):
    before = Counter(item["category"] for item in app.feed("anna")["items"])
    liked = [app.video(i) for i in range(7, VIDEOS, GENRES)][:10]
    until("the liked videos are blended", lambda: app.blended(liked))
    who = {"user_id": f"{app.tag}-anna", "session_id": f"{app.tag}-s"}
    app.post(
        *(
            who | {"event_type": kind, "video_id": video, "watch_ms": 15_000, "duration_ms": 15_000}
            for video in liked
            for kind in ("play_start", "view_end", "like")
        )
    )
    pages: list[dict[str, Any]] = []

    def changed() -> bool:
        pages.append(app.feed("anna"))
        return Counter(item["category"] for item in pages[-1]["items"])["genre7"] >= before["genre7"] + 3

    took = app.seconds_until("the page has changed", changed)
    print(f"swipe → changed page: {took:.2f} s")
    assert len({item["category"] for item in pages[-1]["items"]}) >= 3
    served = [item["video_id"] for page in pages for item in page["items"]]
    assert len(served) == len(set(served))


def test_what_was_liked_elsewhere_is_seen_too(app):
    liked = [app.video(i) for i in range(9, VIDEOS, GENRES)][:10]
    app.post(*({"event_type": "like", "user_id": f"{app.tag}-lena", "video_id": video} for video in liked))
    until(
        "the likes are stored",
        lambda: set(liked) <= set(app.stored("user_activity_v1", "lena")["features"].get("recent_videos", [])),
    )
    app.ids("lena", 50)  # the ranker may look at the store a moment later than we did
    for _ in range(5):
        assert not set(app.ids("lena", 50)) & set(liked)


def test_a_published_video_is_eligible_within_five_seconds(app):
    app.publish(range(VIDEOS, VIDEOS + 300))
    new = {app.video(i) for i in range(VIDEOS, VIDEOS + 300)}
    took = app.seconds_until("a new upload is served", lambda: bool(new & set(app.ids("curious", 50))))
    print(f"published → eligible: {took:.2f} s")
    assert took < 5


def test_a_removed_video_and_a_blocked_creator_are_gone_within_a_second(app):
    page = app.feed("ben", 50)["items"]
    removed, blocked = page[0]["video_id"], page[1]["creator_id"]
    viewers = [f"v{i}" for i in range(20)]
    app.post({"event_type": "video_removed", "video_id": removed})
    app.post({"event_type": "block", "user_id": f"{app.tag}-ben", "target_user_id": blocked})
    time.sleep(1.0)
    assert all(removed not in app.ids(viewer, 50) for viewer in viewers)
    assert all(blocked not in {item["creator_id"] for item in app.feed("ben", 50)["items"]} for _ in range(10))


def test_no_page_repeats_a_video_across_a_kill_of_the_ranker(app):
    before = app.logged()
    shown = [video for _ in range(5) for video in app.ids("carla", 50)]
    until("the pages are logged", lambda: app.logged() >= before + 5, every_s=0.01)
    app.kill("ranker")
    until("the feed answers", lambda: app.ranker.get("/healthz").status_code == 200)
    shown += [video for _ in range(5) for video in app.ids("carla", 50)]
    assert len(shown) == len(set(shown)) == 500


def test_without_the_store_process_the_feed_still_answers(app):
    before = app.part("store")
    assert before.pid is not None
    os.kill(before.pid, signal.SIGSTOP)
    try:
        assert [len(app.ids(f"d{i}")) for i in range(20)] == [10] * 20
    finally:
        os.kill(before.pid, signal.SIGCONT)


def test_with_kafka_frozen_the_feed_still_answers_and_says_that_it_is_old(app):
    kafka = app.part("kafka")
    assert kafka.pid is not None
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        assert [len(app.ids(f"e{i}")) for i in range(20)] == [10] * 20
        until("the ranker says so", lambda: "stale" in app.ranker.get("/healthz").json(), within_s=20)
        assert len(app.ids("e-last")) == 10
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    until("the ranker is up to date again", lambda: "stale" not in app.ranker.get("/healthz").json(), within_s=30)


def test_a_page_over_http_takes_less_than_the_budget(app):
    best = np.inf  # of three rounds: what shares the machine can only add
    for _ in range(3):
        took = []
        for request in range(300):
            started = time.perf_counter()
            app.feed(f"f{request % 30}")
            took.append((time.perf_counter() - started) * 1000)
        p50, p99 = np.percentile(took, [50, 99])
        print(f"GET /v1/feed: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        best = min(best, p99)
    assert best <= 100
