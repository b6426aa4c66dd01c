"""Catalogue and account doors: one request, one event, through the same gate."""

import json

import pytest

from .conftest import NOW

CONTENT, ACCOUNT, ACTION = "events.content.v1", "events.account.v1", "events.action.v1"
PUBLISH = {"video_id": "v1", "creator_id": "c1", "duration_ms": 9_000, "category": "cats"}


def said(record) -> dict:
    """A record without its nulls, its id and its app."""
    return {k: v for k, v in record.items() if v not in (None, {}) and k not in ("event_id", "app_id", "received_at")}


def test_publishing_a_video_makes_its_first_event(collector):
    answer = collector.ask(
        "POST", "/v1/videos", json.dumps(PUBLISH | {"hashtags": ["a"], "event_time": NOW - 5}).encode()
    )

    (record,) = collector.records(CONTENT)
    assert (answer.status, answer.json()) == (202, {"event_id": record["event_id"]})
    assert collector.keys(CONTENT) == ["demo|v1"]
    assert said(record) == {
        "event_type": "video_published",
        "video_id": "v1",
        "event_time": NOW - 5,
        "creator_key": collector.identity.user_key("demo", "c1"),
        "duration_ms": 9_000,
        "category": "cats",
        "hashtags": ["a"],
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "event"),
    [
        ("PATCH", "/v1/videos/v1", {"title": "t"}, {"event_type": "video_updated", "video_id": "v1", "title": "t"}),
        ("DELETE", "/v1/videos/v1", None, {"event_type": "video_removed", "video_id": "v1"}),
        ("POST", "/v1/videos/v%201/rendition", None, {"event_type": "video_rendition_ready", "video_id": "v 1"}),
        (
            "POST",
            "/v1/videos/v1/moderation",
            {"moderation": "blocked"},
            {"event_type": "video_moderated", "video_id": "v1", "moderation": "blocked"},
        ),
    ],
)
def test_a_videos_life_goes_to_the_content_lane(collector, method, path, body, event):
    answer = collector.ask(method, path, b"" if body is None else json.dumps(body).encode())

    assert answer.status == 202
    assert [said(record) for record in collector.records(CONTENT)] == [{"event_time": NOW, **event}]


@pytest.mark.parametrize(
    ("method", "body", "event"),
    [
        (
            "PUT",
            {"region": "FR", "consent": {"ads": True}},
            {"event_type": "profile_updated", "region": "FR", "consent": "ads"},
        ),
        ("PUT", {"event_type": "account_created"}, {"event_type": "account_created"}),
        ("DELETE", None, {"event_type": "account_deactivated"}),
    ],
)
def test_an_accounts_life_goes_to_the_account_lane(collector, method, body, event):
    answer = collector.ask(method, "/v1/users/u1", b"" if body is None else json.dumps(body).encode())

    key = collector.identity.user_key("demo", "u1")
    assert answer.status == 202 and collector.keys(ACCOUNT) == [f"demo|{key}"]
    assert [said(record) for record in collector.records(ACCOUNT)] == [{"event_time": NOW, "user_key": key, **event}]


@pytest.mark.parametrize(("method", "event_type"), [("PUT", "follow"), ("DELETE", "unfollow")])
def test_a_follow_edge_is_an_action_of_its_follower(collector, method, event_type):
    assert collector.ask(method, "/v1/users/u1/follows/u2").status == 202

    of = collector.identity.user_key
    assert [said(record) for record in collector.records(ACTION)] == [
        {
            "event_type": event_type,
            "event_time": NOW,
            "user_key": of("demo", "u1"),
            "target_user_key": of("demo", "u2"),
        }
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("POST", "/v1/videos", b"", 422, "video_id"),
        ("POST", "/v1/videos", b"[]", 400, "$"),
        ("POST", "/v1/videos", b"not json", 400, "$"),
        ("POST", "/v1/videos", b'{"a":1,"a":2}', 400, "a"),
        ("POST", "/v1/videos", b'{"a":' * 30 + b"1" + b"}" * 30, 400, "$"),
        ("POST", "/v1/videos", b'{"zzz":' + b"9" * 5_000 + b"}", 400, "$"),
        ("POST", "/v1/videos", json.dumps(PUBLISH | {"event_type": "like"}).encode(), 422, "event_type"),
        ("POST", "/v1/videos", json.dumps(PUBLISH | {"duration_ms": -1}).encode(), 422, "duration_ms"),
        (
            "POST",
            "/v1/videos",
            json.dumps(PUBLISH | {"published_at": "9999-01-01T00:00:00Z"}).encode(),
            422,
            "published_at",
        ),
        ("PATCH", "/v1/videos/v1", b'{"video_id":"v2"}', 422, "video_id"),
        ("PATCH", "/v1/videos/a%7Cb", b"{}", 422, "video_id"),
        ("POST", "/v1/videos/v1/moderation", b"{}", 422, "moderation"),
        ("POST", "/v1/videos/v1/moderation", b'{"moderation":"ok"}', 422, "moderation"),
        ("PUT", "/v1/users/u1", b'{"birth_year":"old"}', 422, "birth_year"),
        ("PUT", "/v1/users/u1", b'{"consent":{"ads":1}}', 422, "consent.*"),
        ("PUT", f"/v1/users/{'u' * 129}", b"", 422, "user_id"),
        ("PUT", "/v1/users/u1/follows/%00", b"", 422, "target_user_id"),
        ("PUT", "/v1/users/u1/follows/u1", b"", 422, "target_user_id"),
        ("PATCH", "/v1/videos/v1", b'{"duration_ms":0}', 422, "duration_ms"),
    ],
)
def test_a_bad_request_names_the_field_and_the_remedy_and_leaves_a_dead_letter(
    collector, method, path, body, status, field
):
    answer = collector.ask(method, path, body)

    assert (answer.status, answer.json()["field"]) == (status, field), answer.json()
    assert answer.json()["remedy"]
    (letter,) = collector.rejected()
    assert letter["body"] == body and "u1" not in letter["door"]


@pytest.mark.parametrize(
    ("header", "value"), [("content-type", "application/json; charset=latin-1"), ("content-encoding", "br")]
)
def test_a_body_in_another_charset_or_encoding_is_a_415_and_leaves_a_dead_letter(collector, header, value):
    answer = collector.ask("PUT", "/v1/users/u1", b"{}", {header: value})

    assert (answer.status, answer.json()["field"]) == (415, header)
    assert [(letter["body"], letter["door"]) for letter in collector.rejected()] == [(b"{}", "/v1/users/…")]


def test_the_side_doors_ask_for_the_write_key_too(collector):
    assert collector.ask("DELETE", "/v1/users/u1", headers={"authorization": "Bearer x"}).status == 401


def test_a_path_that_is_a_door_by_another_method_only_says_which(collector):
    assert collector.ask("GET", "/v1/users/u1").headers["allow"] == "DELETE, PUT"
    assert collector.ask("GET", "/v1/events").headers["allow"] == "POST"
