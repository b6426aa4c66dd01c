"""The door of the feed, through the router, without a socket."""

import asyncio
import io
import json
import logging
from typing import Any

import fastavro
import pytest

from foryou.contract.identity import Identity
from foryou.contract.schemas import schema
from foryou.ranker.api import add_feed
from foryou.ranker.feed_door import FeedDoor
from foryou.ranker.side_effects.served_log import MemoryServedLog
from foryou.ranker.testing import APP, NOW, published, relation, small_world
from foryou.ranker.user_features import MemoryFeatures
from foryou.ranker.weights import Weights
from foryou.ranker.world import Worlds
from foryou.service.callers import Callers
from foryou.service.keys import EVERY_SCOPE, KeyRing, Scope, key_of
from foryou.service.metrics import Metrics
from foryou.service.testing import Answer, FixedKeys, ask, known_tokens
from foryou.service.web import Router

KEY = "fy_test"
IDENTITY = Identity(b"0" * 32)


class Stack:
    """A ranker without Kafka."""

    def __init__(self, videos: int = 60) -> None:
        self.worlds = Worlds({APP: small_world()})
        self.features, self.served, self.metrics = MemoryFeatures(), MemoryServedLog(), Metrics()
        self.waiting: list[str] = []
        self.tokens = known_tokens()
        door = FeedDoor(
            self.callers(),
            self.tokens,
            IDENTITY,
            self.worlds,
            self.features,
            self.served,
            Weights.load(),
            self.metrics,
            lambda: self.waiting,
            clock_ms=lambda: NOW,
        )
        self.router = Router(self.metrics, lambda: self.waiting)
        add_feed(self.router, door)
        for i in range(videos):
            self.worlds[APP].catalogue.apply(published(f"v{i}", f"genre{i % 12}", f"uk_c{i}"))

    def callers(self) -> Callers:
        keys = [
            key_of(KEY, APP, EVERY_SCOPE, 0),
            key_of("fy_other", "other", EVERY_SCOPE, 0),
            key_of("fy_phone", APP, [Scope.EVENTS_WRITE], 0),
        ]
        return Callers(FixedKeys(KeyRing(tuple(keys))), self.tokens, lambda: NOW)

    def token(self, key: str | None = KEY, **wish: object) -> Answer:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return asyncio.run(ask(self.router, "POST", "/v1/tokens", json.dumps(wish).encode(), headers))

    def get(self, query: str, key: str | None = KEY) -> Answer:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return asyncio.run(ask(self.router, "GET", f"/v1/feed?{query}", headers=headers))


@pytest.fixture
def stack() -> Stack:
    return Stack()


def test_a_page_has_ten_items_with_what_an_app_needs(stack):
    answer = stack.get("user_id=anna").json()
    assert set(answer) == {"request_id", "items", "fallback", "model_version"}
    assert (len(answer["items"]), answer["fallback"], answer["model_version"]) == (10, None, Weights.load().version)
    wanted = {"video_id", "impression_id", "position", "creator_id", "duration_ms", "category", "source", "score"}
    assert {frozenset(item) for item in answer["items"]} == {frozenset(wanted)}


def test_a_session_of_pages_never_shows_a_video_twice_and_ends_with_an_empty_page(stack):
    shown = [item["video_id"] for _ in range(7) for item in stack.get("user_id=anna").json()["items"]]
    assert sorted(shown) == sorted(f"v{i}" for i in range(60))


def test_each_viewer_has_a_feed_of_their_own(stack):
    stack.get("user_id=anna&limit=50")
    assert len(stack.get("user_id=ben&limit=50").json()["items"]) == 50


def test_a_viewer_without_account_is_known_by_the_device(stack):
    stack.get("device_id=phone&limit=50")
    assert len(stack.get("device_id=phone&limit=50").json()["items"]) == 10
    assert stack.served[0]["user_key"] == IDENTITY.device_key(APP, "phone")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "user_id"),
        ("limit=3", "user_id"),
        ("user_id=", "user_id"),
        ("user_id=" + "x" * 129, "user_id"),
        ("user_id=a%00b", "user_id"),
        ("user_id=a%7Cb", "user_id"),
        ("user_id=%FF", "user_id"),
        ("device_id=", "device_id"),
        ("user_id=a&limit=-1", "limit"),
        ("user_id=a&limit=0", "limit"),
        ("user_id=a&limit=51", "limit"),
        ("user_id=a&limit=abc", "limit"),
        ("user_id=a&limit=1e1", "limit"),
        ("user_id=a&limit=%D9%A3", "limit"),
        ("user_id=a&limit=" + "9" * 5_000, "limit"),
        ("user_id=a&limit=", "limit"),
        ("user_id=a&region=" + "x" * 65, "region"),
        ("user_id=a&network=%0A", "network"),
        ("&".join(f"p{i}=1" for i in range(200)), "query"),
        ("user_id=a&user_id=b", "user_id"),
        ("user_id=a&limit=3&limit=3", "limit"),
        ("user_id=a&strange=1&strange=2", "strange"),
    ],
)
def test_bad_input_gets_a_problem_that_names_the_field_and_the_remedy(stack, query, field):
    answer = stack.get(query)
    problem = answer.json()
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert problem["field"] == field
    assert problem["remedy"]


@pytest.mark.parametrize("key", [None, "wrong", ""])
def test_without_a_known_key_there_is_a_401_that_says_where_to_find_one(stack, key):
    answer = stack.get("user_id=anna", key)
    assert (answer.status, answer.json()["field"]) == (401, "authorization")
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize(
    ("key", "detail"), [(None, "there is no key and no token"), ("x", "the key is not known here")]
)
def test_a_401_of_the_feed_speaks_of_tokens_and_service_keys_not_of_write_keys(stack, key, detail):
    told = stack.get("user_id=anna", key).json()
    assert told["detail"] == detail and "write key" not in told["remedy"]
    assert told["remedy"].startswith("send a service's key, or to read one person that person's token (`foryou token`")


def test_other_methods_are_refused(stack):
    assert asyncio.run(ask(stack.router, "POST", "/v1/feed?user_id=a", b"{}")).status == 405


def test_until_the_catalogue_is_loaded_there_is_a_503_that_says_what_is_waited_for(stack):
    stack.waiting.append("events.content.v1")
    answer = stack.get("user_id=anna")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["waiting_for"] == ["events.content.v1"]


def test_without_features_the_feed_answers_from_trends_and_says_so(stack):
    stack.features.unavailable = "the store is down"
    answer = stack.get("user_id=anna").json()
    assert (len(answer["items"]), answer["fallback"]) == (10, "trending")
    assert stack.served[0]["fallback"] == "trending"
    assert stack.metrics.value("foryou_ranker_feeds_total", fallback="trending") == 1


def test_an_unknown_viewer_is_no_fallback(stack):
    assert stack.get("user_id=nobody-knows").json()["fallback"] is None


def test_the_features_are_those_of_the_viewers_key(stack):
    key = IDENTITY.user_key(APP, "anna")
    stack.features.put(APP, key, affinity_categories=["genre5"], affinity_scores=[9.0])
    items = stack.get("user_id=anna").json()["items"]
    assert sum(item["category"] == "genre5" for item in items) >= 4


def test_one_app_never_sees_another_apps_videos(stack):
    assert stack.get("user_id=anna", "fy_other").json()["items"] == []


def test_a_block_heard_between_two_pages_holds_on_the_next(stack):
    shown = stack.get("user_id=anna").json()["items"][0]
    other = next(f"uk_c{i}" for i in range(60) if f"uk_c{i}" != shown["creator_id"])
    stack.worlds[APP].viewers.apply(relation(IDENTITY.user_key(APP, "anna"), "block", other))
    rest = [item["creator_id"] for _ in range(6) for item in stack.get("user_id=anna").json()["items"]]
    assert other not in rest


def test_what_was_served_is_logged_with_the_values_it_was_scored_on(stack):
    key = IDENTITY.user_key(APP, "anna")
    stack.features.put(
        APP,
        key,
        affinity_categories=["genre5"],
        affinity_scores=[9.0],
        skip_streak=2,
        recent_videos=["v1"],
        likes_24h=None,
    )
    answer = stack.get("user_id=anna&region=DE&network=wifi").json()
    (record,) = stack.served
    assert (record["request_id"], record["user_key"], record["served_at"]) == (answer["request_id"], key, NOW)
    assert record["context"] == {"region": "DE", "network": "wifi"}
    assert record["user_numbers"] == {"skip_streak": 2.0}
    assert record["user_words"] == {"affinity_categories": ["genre5"], "recent_videos": ["v1"]}
    assert record["user_series"] == {"affinity_scores": [9.0]}
    assert [item["impression_id"] for item in record["items"]] == [item["impression_id"] for item in answer["items"]]
    assert record["items"][0]["features"]["finish_rate_24h"] == pytest.approx(0.3)
    assert round_trip(record) == record


def round_trip(record: dict[str, Any]) -> Any:
    avro = fastavro.parse_schema(schema("served"))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, avro, record)
    out.seek(0)
    return fastavro.schemaless_reader(out, avro, None)


def test_raw_ids_and_keys_are_in_no_log_and_no_answer(stack, caplog):
    with caplog.at_level(logging.DEBUG):
        good = stack.get("user_id=anna-secret")
        bad = stack.get("user_id=anna-secret%00")
    said = caplog.text + good.body.decode() + bad.body.decode() + json.dumps(list(stack.served))
    assert "anna-secret" not in said
    assert KEY not in said


def test_a_token_reads_its_own_persons_feed_with_or_without_naming_them(stack):
    token = stack.token(user_id="anna").json()["token"]
    assert [stack.get(query, token).status for query in ("user_id=anna", "limit=3")] == [200, 200]
    assert [feed["user_key"] for feed in stack.served] == [IDENTITY.user_key(APP, "anna")] * 2


@pytest.mark.parametrize(("query", "field"), [("user_id=ben", "user_id"), ("device_id=anna", "device_id")])
def test_a_token_reads_nobody_elses_feed(stack, query, field):
    answer = stack.get(query, stack.token(user_id="anna").json()["token"])
    problem = answer.json()
    assert (answer.status, answer.headers["content-type"]) == (403, "application/problem+json")
    assert (problem["reason"], problem["field"]) == ("another_user", field)
    assert "anna" not in answer.body.decode() and "ben" not in answer.body.decode()
    assert not stack.served


def test_a_token_of_a_device_reads_the_devices_feed(stack):
    token = stack.token(device_id="phone").json()["token"]
    assert stack.get("device_id=phone", token).status == 200
    assert stack.get("user_id=phone", token).status == 403


def test_a_token_is_for_one_app_though_two_apps_know_a_person_by_the_same_id(stack):
    token = stack.token("fy_other", user_id="anna").json()["token"]
    assert stack.get("user_id=anna", token).json()["items"] == []  # the other app's feed, which has no videos
    assert stack.served[0]["app_id"] == "other"


def test_a_token_ends(stack):
    made = stack.token(user_id="anna", ttl_s=60).json()
    assert made["expires_at"] == NOW // 1_000 * 1_000 + 60_000
    ended = stack.tokens.issue(APP, IDENTITY.user_key(APP, "anna"), "feed", NOW // 1_000 - 60, 60)
    assert stack.get("user_id=anna", ended).status == 401


def test_the_key_in_a_phone_reads_no_feed_and_makes_no_token(stack):
    for answer in (stack.get("user_id=anna", "fy_phone"), stack.token("fy_phone", user_id="anna")):
        assert (answer.status, answer.json()["reason"]) == (403, "missing_scope")


def test_a_token_makes_no_token(stack):
    token = stack.token(user_id="anna").json()["token"]
    assert stack.token(token, user_id="ben").status == 403


@pytest.mark.parametrize(
    "wish",
    [{}, {"user_id": 7}, {"user_id": ""}, {"user_id": "a|b"}, {"user_id": "a", "ttl_s": 0}, {"user_id": "a", "x": 1}],
)
def test_a_token_is_made_for_somebody_and_for_a_bounded_time(stack, wish):
    answer = stack.token(**wish)
    assert (answer.status, answer.json()["reason"]) == (400, "bad_parameter")


def test_no_token_and_no_raw_id_is_in_a_log_line(stack, caplog):
    caplog.set_level(logging.DEBUG)
    token = stack.token(user_id="anna-raw-id").json()["token"]
    for query in ("user_id=anna-raw-id", "user_id=ben-raw-id"):
        stack.get(query, token)
    stack.get("user_id=anna-raw-id", token + "x")
    assert "raw-id" not in caplog.text and token not in caplog.text and KEY not in caplog.text


def consent(stack, said, time=NOW, user="anna"):
    event = {"user_key": IDENTITY.user_key(APP, user), "event_id": "e", "event_time": time, "received_at": time}
    stack.worlds[APP].consents.apply({**event, "app_id": APP, "consent": said, "jurisdiction": None})


def test_after_the_consent_is_withdrawn_the_next_feed_knows_nothing_of_the_person(stack):
    key = IDENTITY.user_key(APP, "anna")
    stack.features.put(APP, key, affinity_categories=["genre1"], affinity_scores=[9.0])
    assert stack.get("user_id=anna").json()["fallback"] is None
    consent(stack, "analytics", NOW + 1)
    answer = stack.get("user_id=anna").json()
    assert answer["fallback"] == "not_personalised" and len(answer["items"]) == 10
    assert (stack.served[1]["fallback"], stack.served[1]["user_numbers"], stack.served[1]["user_words"]) == (
        "not_personalised",
        {},
        {},
    )
    consent(stack, "personalisation", NOW + 2)
    assert stack.get("user_id=anna").json()["fallback"] is None


def test_a_consent_that_is_withdrawn_while_features_are_read_counts(stack):
    read = stack.features.read

    async def slow(*asked):
        found = await read(*asked)
        consent(stack, "")
        return found

    stack.features.read = slow
    assert stack.get("user_id=anna").json()["fallback"] == "not_personalised"


def test_without_consent_no_video_is_shown_twice_either(stack):
    consent(stack, "")
    shown = [item["video_id"] for _ in range(7) for item in stack.get("user_id=anna").json()["items"]]
    assert sorted(shown) == sorted(f"v{i}" for i in range(60))


def asked(stack, query, key=KEY):
    return asyncio.run(ask(stack.router, "GET", f"/v1/consent?{query}", headers={"authorization": f"Bearer {key}"}))


def test_a_person_who_is_named_twice_is_nobody(stack):
    answer = asked(stack, "user_id=anna&user_id=ben")
    assert (answer.status, answer.json()["field"]) == (400, "user_id")


def test_who_serves_ads_can_ask_what_a_person_consents_to(stack):
    assert asked(stack, "user_id=anna").json() == {
        "purposes": {"analytics": True, "personalisation": True, "ads": True},
        "jurisdiction": None,
        "said_at": None,
        "jurisdiction_at": None,
    }
    consent(stack, "advertising", NOW + 1)
    answer = asked(stack, "user_id=anna").json()
    assert answer["purposes"] == {"analytics": False, "personalisation": False, "ads": True}
    assert answer["said_at"] is not None and asked(stack, "user_id=ben").json()["said_at"] is None


def test_a_persons_consent_is_told_to_them_and_to_services_of_their_app_alone(stack):
    token = stack.token(user_id="anna").json()["token"]
    assert asked(stack, "", token).status == asked(stack, "user_id=anna", token).status == 200
    assert asked(stack, "user_id=ben", token).json()["reason"] == "another_user"
    assert [asked(stack, "user_id=anna", key).status for key in ("fy_phone", "fy_nobody")] == [403, 401]
    consent(stack, "")
    assert asked(stack, "user_id=anna", "fy_other").json()["said_at"] is None  # the same id in another app
    assert asked(stack, "").json()["field"] == "user_id"


def test_what_is_not_known_yet_is_not_answered(stack):
    stack.waiting.append("events.account.v1")
    assert asked(stack, "user_id=anna").status == 503
