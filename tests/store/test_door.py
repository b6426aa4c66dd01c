"""The store's HTTP door: what it answers, and that bad input is told apart, named and mended, never a 500."""

import asyncio
import json

import httpx
import pytest

from foryou.features.definitions import VIEWS
from foryou.features.operations import MINUTE
from foryou.service.callers import Callers
from foryou.service.keys import KeyRing, Scope, key_of
from foryou.service.metrics import Metrics
from foryou.service.settings import Settings
from foryou.service.testing import FixedKeys, known_tokens
from foryou.service.tokens import FEED
from foryou.store.door import MAX_BODY, Door
from foryou.store.permits import Permits
from foryou.store.rows import MemoryRows
from foryou.store.serving import RegistryFollower, open_store, registry_path
from foryou.store.testing import TileTopics, tile
from foryou.store.writer import Writer

NOON = 1_795_176_000_000
ACTIVITY = VIEWS["user_activity_v1"]


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    rows, topics, metrics = MemoryRows(), TileTopics(), Metrics()
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    store = open_store(settings, rows, lambda: NOON)
    topics.send(ACTIVITY, tile(ACTIVITY, "ann", NOON - MINUTE, likes=2, watched=1))
    writer = Writer(rows, topics.source, topics.decode, VIEWS, metrics, lambda: NOON)
    writer.start()
    writer.step()
    follower = RegistryFollower(store, registry_path(settings), rows)
    permits = Permits(CALLERS, "10.0.0.5")
    return Door(store, lambda: follower.known, rows, VIEWS, lambda: writer.waiting_for, metrics, lambda: NOON, permits)


TOKENS = known_tokens()
KEYS = KeyRing(
    (
        key_of("service", "demo", [Scope.FEATURES_READ], 0),
        key_of("phone", "demo", [Scope.EVENTS_WRITE], 0),
        key_of("other", "other", [Scope.FEATURES_READ], 0),
        key_of("root", "demo", [Scope.ADMIN], 0),
    )
)
CALLERS = Callers(FixedKeys(KEYS), TOKENS, lambda: NOON)
ELSEWHERE = "10.0.0.9"


def ask(door, method, target, body=None, peer="127.0.0.1", key=None):
    async def asked():
        transport = httpx.ASGITransport(door, raise_app_exceptions=True, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://store") as client:
            headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
            content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
            return await client.request(method, target, content=content, headers=headers)

    return asyncio.run(asked())


ANN = {"app_id": ["demo"], "user_key": ["ann"]}
LIKES = ["user_activity_v1:likes_24h"]


def test_features_by_service(door):
    answer = ask(door, "POST", "/get-online-features", {"feature_service": "ranking_v1", "entities": ANN})
    assert answer.status_code == 200
    found = answer.json()
    values = dict(zip(found["metadata"]["feature_names"], (r["values"][0] for r in found["results"]), strict=True))
    assert (values["likes_24h"], values["videos_watched_session"], values["app_id"]) == (2, 1, "demo")


def test_features_by_name(door):
    answer = ask(door, "POST", "/get-online-features", {"features": LIKES, "entities": ANN}).json()
    assert answer["results"][-1]["values"] == [2]
    assert answer["results"][-1]["statuses"] == ["PRESENT"]


def test_a_push_is_read_back(door):
    row = {"app_id": ["demo"], "user_key": ["ann"], "chosen_categories": [["cats", "food"]]}
    pushed = {"push_source_name": "user_interests", "df": row | {"event_timestamp": ["2026-11-20T11:00:00Z"]}}
    assert ask(door, "POST", "/push", pushed).status_code == 200
    answer = ask(door, "POST", "/get-online-features", {"feature_service": "cold_start_v1", "entities": ANN}).json()
    assert answer["results"][-1]["values"] == [["cats", "food"]]


def test_tiles_are_shown_with_what_they_mean(door):
    answer = ask(door, "GET", "/tiles/user_activity_v1/ann?app_id=demo").json()
    assert (answer["view"], answer["user_key"], answer["read_at"]) == ("user_activity_v1", "ann", NOON)
    assert answer["features"]["likes_24h"] == 2
    assert [(t["tile_start"], t["n"], t["measures"]["likes"]) for t in answer["tiles"]] == [(NOON - MINUTE, 1, 2)]


def test_health_and_metrics(door):
    assert ask(door, "GET", "/healthz").json() == {"status": "ok"}
    ask(door, "GET", "/tiles/user_activity_v1/nobody?app_id=demo")
    text = ask(door, "GET", "/metrics").text
    assert 'foryou_http_requests_total{route="/tiles/{view}/{entity}",status="404"}' in text
    assert "nobody" not in text


FEATURES = "/get-online-features"
ROW = {
    "app_id": ["demo"],
    "user_key": ["ann"],
    "chosen_categories": [["a"]],
    "event_timestamp": ["2026-11-20T11:00:00Z"],
}


def features(**changes):
    return {
        key: value
        for key, value in ({"feature_service": "ranking_v1", "entities": ANN} | changes).items()
        if value is not ...
    }


def push(**changes):
    return {"push_source_name": "user_interests", "df": {k: v for k, v in (ROW | changes).items() if v is not ...}}


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        (FEATURES, b"", 400, "body"),
        (FEATURES, b"{", 400, "body"),
        (FEATURES, b"\xff\xfe", 400, "body"),
        (FEATURES, b'{"entities":' + b"[" * 100_000, 400, "body"),
        (FEATURES, [], 422, "body"),
        (FEATURES, {}, 422, "entities"),
        (FEATURES, features(entities=[]), 422, "entities"),
        (FEATURES, features(entities={}), 422, "entities"),
        (FEATURES, features(entities={"app_id": ["demo"]}), 422, "entities.user_key"),
        (FEATURES, features(entities={"app_id": ["demo"], "user_key": "ann"}), 422, "entities.user_key"),
        (FEATURES, features(entities={"app_id": ["demo"], "user_key": []}), 422, "entities"),
        (FEATURES, features(entities={"app_id": [], "user_key": []}), 422, "entities.app_id"),
        (FEATURES, features(entities={"app_id": ["demo"], "user_key": ["a", "b"]}), 422, "entities"),
        (FEATURES, features(entities={"app_id": ["demo"], "user_key": [7]}), 422, "entities.user_key[0]"),
        (FEATURES, features(entities={"app_id": ["demo"], "user_key": [None]}), 422, "entities.user_key[0]"),
        (FEATURES, features(entities={"app_id": [{}], "user_key": ["ann"]}), 422, "entities.app_id[0]"),
        (FEATURES, features(entities={"app_id": ["a"] * 1_001, "user_key": ["a"] * 1_001}), 422, "entities.app_id"),
        (FEATURES, features(feature_service="nope"), 404, "feature_service"),
        (FEATURES, features(feature_service=5), 422, "feature_service"),
        (FEATURES, features(feature_service=...), 422, "features"),
        (FEATURES, features(feature_service=..., features="user_activity_v1:likes_24h"), 422, "features"),
        (FEATURES, features(feature_service=..., features=["likes_24h"]), 422, "features[0]"),
        (FEATURES, features(feature_service=..., features=[*LIKES, "nope:likes"]), 404, "features[1]"),
        (FEATURES, features(feature_service=..., features=["user_activity_v1:nope"]), 404, "features[0]"),
        (FEATURES, features(full_feature_names="perhaps"), 422, "full_feature_names"),
        ("/push", push(event_timestamp=["soon"]), 422, "df"),
        ("/push", push(event_timestamp=["9999-12-31T00:00:00Z"]), 422, "df"),
        ("/push", push(event_timestamp=["2027-01-01T00:00:00Z"]), 422, "df"),
        ("/push", push(event_timestamp=...), 422, "df.event_timestamp"),
        ("/push", push(chosen_categories=...), 422, "df.chosen_categories"),
        ("/push", push(chosen_categories=[5]), 422, "df.chosen_categories[0]"),
        ("/push", push(chosen_categories=[["a", None]]), 422, "df.chosen_categories[0]"),
        ("/push", push(user_key=[7]), 422, "df.user_key[0]"),
        ("/push", push(user_key=[None]), 422, "df.user_key[0]"),
        ("/push", push(user_key=["a", "b"]), 422, "df"),
        ("/push", push(user_key="ann"), 422, "df.user_key"),
        ("/push", {"push_source_name": "user_interests", "df": {}}, 422, "df"),
        ("/push", push() | {"push_source_name": "nope"}, 404, "push_source_name"),
        ("/push", push() | {"push_source_name": 1}, 422, "push_source_name"),
        ("/push", push() | {"to": "nowhere"}, 422, "to"),
        ("/write-to-online-store", {"feature_view_name": "nope", "df": ROW}, 404, "feature_view_name"),
        ("/write-to-online-store", {"feature_view_name": "user_activity_v1", "df": ROW}, 422, "feature_view_name"),
        ("/write-to-online-store", {"df": ROW}, 422, "feature_view_name"),
        ("/nowhere", {}, 404, "path"),
    ],
    ids=lambda value: str(value)[:60] if not isinstance(value, int) else None,
)  # fmt: skip
def test_bad_input_is_answered_with_the_field_and_the_remedy(door, path, body, status, field):
    answer = ask(door, "POST", path, body)
    problem = answer.json()
    assert (answer.status_code, problem.get("field")) == (status, field), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["remedy"] and problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/get-online-features", 405),
        ("DELETE", "/tiles/user_activity_v1/ann", 405),
        ("GET", "/tiles/user_activity_v1/ann", 422),
        ("GET", "/tiles/user_activity_v1/ann?app_id=demo&app_id=demo", 400),
        ("GET", "/tiles/nope/ann?app_id=demo", 404),
        ("GET", "/tiles/user_activity_v1/?app_id=demo", 404),
        ("GET", "/tiles/user_activity_v1/a%00b%2F%ff?app_id=%ff", 404),
        ("GET", "/nowhere", 404),
    ],
)
def test_odd_requests_get_a_problem_too(door, method, target, status):
    answer = ask(door, method, target)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [("GET", "/get-online-features", "POST"), ("DELETE", "/tiles/user_activity_v1/ann", "GET")],
)
def test_a_wrong_method_is_a_405_with_the_methods_allowed(door, method, target, allowed):
    answer = ask(door, method, target)
    problem = answer.json()
    assert (answer.status_code, answer.headers["allow"], problem["reason"]) == (405, allowed, "method_not_allowed")
    assert (problem["field"], problem["remedy"]) == ("method", f"use {allowed}")


def test_a_body_that_is_too_large_is_read_away_and_refused(door):
    answer = ask(door, "POST", "/push", b" " * (MAX_BODY + 1))
    assert (answer.status_code, answer.json()["field"]) == (413, "body")


def test_it_is_not_healthy_while_it_waits(door):
    door._waiting_for = lambda: ["Kafka at nowhere"]
    answer = ask(door, "GET", "/healthz")
    door._waiting_for = list
    assert (answer.status_code, answer.json()["waiting_for"]) == (503, ["Kafka at nowhere"])


READ = {"features": LIKES, "entities": ANN}


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.0.0.5"])
def test_on_this_machine_no_key_is_asked_for(door, peer):
    assert ask(door, "POST", "/get-online-features", READ, peer).status_code == 200


@pytest.mark.parametrize(
    ("key", "status", "reason"),
    [
        (None, 401, "unauthorized"),
        ("nobody", 401, "unauthorized"),
        ("phone", 403, "missing_scope"),
        ("other", 403, "another_user"),
        ("service", 200, None),
        ("root", 200, None),
    ],
)
def test_from_elsewhere_a_key_of_the_app_that_may_read_is_asked_for(door, key, status, reason):
    answer = ask(door, "POST", "/get-online-features", READ, ELSEWHERE, key)
    assert (answer.status_code, answer.json().get("reason")) == (status, reason)
    tiles = ask(door, "GET", "/tiles/user_activity_v1/ann?app_id=demo", None, ELSEWHERE, key)
    assert tiles.status_code == status


def test_a_token_reads_its_own_persons_features_and_nobody_elses(door):
    token = TOKENS.issue("demo", "ann", FEED, NOON // 1_000)
    assert ask(door, "POST", "/get-online-features", READ, ELSEWHERE, token).status_code == 200
    assert ask(door, "GET", "/tiles/user_activity_v1/ann?app_id=demo", None, ELSEWHERE, token).status_code == 200
    for entities in ({**ANN, "user_key": ["ben"]}, {"app_id": ["demo"] * 2, "user_key": ["ann", "ben"]}, {}, []):
        answer = ask(door, "POST", "/get-online-features", {**READ, "entities": entities}, ELSEWHERE, token)
        assert (answer.status_code, answer.json()["reason"]) == (403, "another_user")
    for target in ("/tiles/user_activity_v1/ben?app_id=demo", "/tiles/user_activity_v1/ann?app_id=other"):
        assert ask(door, "GET", target, None, ELSEWHERE, token).status_code == 403
    assert ask(door, "POST", "/push", {}, ELSEWHERE, token).status_code == 403


def test_who_may_read_may_not_push(door):
    assert ask(door, "POST", "/push", {}, ELSEWHERE, "service").json()["reason"] == "missing_scope"
    assert ask(door, "POST", "/push", {"df": {"app_id": ["demo"]}}, ELSEWHERE, "root").status_code == 422
    for apps in (["other"], ["demo", "other"], []):
        answer = ask(door, "POST", "/push", {"df": {"app_id": apps}}, ELSEWHERE, "root")
        assert (answer.status_code, answer.json()["field"]) == (403, "df.app_id")


def test_health_is_told_to_everybody(door):
    assert ask(door, "GET", "/healthz", None, ELSEWHERE).status_code == 200


def test_feasts_own_client_sends_a_key_when_it_is_told_to():
    from feast.permissions.auth_model import OidcClientAuthConfig
    from feast.permissions.client.oidc_authentication_client_manager import OidcAuthClientManager

    assert OidcAuthClientManager(OidcClientAuthConfig(type="oidc", token="service")).get_token() == "service"
