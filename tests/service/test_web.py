import asyncio
import logging

import pytest

from foryou.service.metrics import Metrics
from foryou.service.problem import Problem, unavailable
from foryou.service.testing import ask as ask_async
from foryou.service.web import Request, Response, Router, json_response

LIMIT = 100


@pytest.fixture
def waiting():
    return []


@pytest.fixture
def router(waiting):
    async def echo(request: Request) -> Response:
        return json_response(200, {"params": request.params, "query": request.query(), "size": len(request.body)})

    async def refuse(_: Request) -> Response:
        raise Problem(422, "Refused", "no", headers=(("retry-after", "7"),))

    async def break_down(_: Request) -> Response:
        raise RuntimeError("-".join(("u", "secret")))

    router = Router(Metrics(), lambda: waiting, body_timeout_s=0.05)
    router.add("POST", "/echo", echo, max_body=LIMIT)
    router.add("GET", "/users/{user_id}/follows/{target}", echo, max_body=0)
    router.add("DELETE", "/users/{user_id}/follows/{target}", echo, max_body=0)
    router.add("GET", "/refuse", refuse, max_body=0)
    router.add("GET", "/break", break_down, max_body=0)
    return router


@pytest.fixture
def ask(router):
    return lambda *args, **more: asyncio.run(ask_async(router, *args, **more))


@pytest.mark.parametrize(
    ("body", "closes"), [(b"", False), (b"x" * 8_192, False), (b"x" * 8_193, True), ([b"in pieces"], True)]
)
def test_what_is_refused_before_its_body_is_read_closes_the_connection_unless_the_body_is_small(body, closes):
    router, read = Router(Metrics()), []

    async def handle(request):
        read.append(request.body)
        return Response(202, b"")

    def full():
        raise unavailable("no room")

    router.add("POST", "/x", handle, max_body=10_000, before=full)
    answer = asyncio.run(ask_async(router, "POST", "/x", body))
    assert (answer.status, answer.headers.get("connection") == "close", read) == (503, closes, [])


def test_path_parameters_and_the_query_are_decoded(ask):
    answer = ask("GET", "/users/a%2541b%20c/follows/%C3%A9?x=2&y=")

    assert answer.json() == {"params": {"user_id": "a%41b c", "target": "é"}, "query": {"x": "2", "y": ""}, "size": 0}


@pytest.mark.parametrize("query", ["x=1&y=2&x=1", "y=1&x=&x=", "%78=1&x=2"])
def test_a_parameter_that_is_given_twice_is_a_400_that_names_it(ask, query):
    answer = ask("GET", f"/users/a/follows/b?{query}")
    told = answer.json()
    assert (answer.status, told["reason"], told["field"]) == (400, "bad_parameter", "x")
    assert told["detail"] == "x is given more than once"


def test_a_path_that_is_not_utf8_is_a_400(ask):
    assert ask("GET", "/users/%ff/follows/b").status == 400


def test_an_unknown_path_is_a_404_that_lists_the_paths(ask):
    answer = ask("GET", "/nope")

    assert answer.status == 404 and answer.headers["content-type"] == "application/problem+json"
    assert "/users/{user_id}/follows/{target}" in answer.json()["remedy"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/echo", "POST"), ("POST", "/users/a/follows/b", "DELETE, GET"), ("PUT", "/metrics", "GET")],
)
def test_a_wrong_method_is_a_405_with_the_methods_allowed(ask, method, path, allowed):
    answer = ask(method, path)

    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert (answer.json()["field"], answer.json()["remedy"]) == ("method", f"use {allowed}")


@pytest.mark.parametrize("body", [b"x" * (LIMIT + 1), [b"x" * 60, b"x" * 60], [b"x"] * (LIMIT + 1)])
def test_a_body_over_the_limit_is_a_413_declared_or_streamed(ask, body):
    answer = ask("POST", "/echo", body)

    assert answer.status == 413 and answer.json()["field"] == "body" and "100" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"x" * LIMIT, [b"x" * 50, b"x" * 50], b"", []])
def test_a_body_up_to_the_limit_is_read(ask, body):
    assert ask("POST", "/echo", body).json()["size"] == sum(map(len, [body] if isinstance(body, bytes) else body))


@pytest.mark.parametrize("declared", ["-1", "many", "1e3", ""])
def test_a_length_that_is_no_number_does_not_open_the_limit(ask, declared):
    assert ask("POST", "/echo", b"x" * 101, {"content-length": declared}).status == 413


def test_a_body_that_does_not_arrive_in_time_is_a_408(ask):
    answer = ask("POST", "/echo", [b"x", b"y", b"z"], pause_s=0.03)

    assert (answer.status, answer.json()["reason"], answer.headers["connection"]) == (408, "slow_body", "close")


def test_a_problem_keeps_its_headers(ask):
    answer = ask("GET", "/refuse")

    assert (answer.status, answer.headers["retry-after"]) == (422, "7")


def test_a_bug_is_a_500_whose_log_line_has_the_request_id_and_no_raw_id(ask, caplog):
    with caplog.at_level(logging.ERROR):
        answer = ask("GET", "/break", headers={"X-Request-Id": "r-9"})

    (record,) = caplog.records
    assert answer.status == 500 and answer.json()["request_id"] == "r-9"
    assert record.request_id == "r-9" and record.error == "RuntimeError" and "u-secret" not in str(vars(record))


def test_the_request_id_is_echoed_if_it_is_harmless_and_made_otherwise(ask):
    assert ask("GET", "/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for bad in ("", "a b", "x" * 65, "a\nb"):
        made = ask("GET", "/healthz", headers={"X-Request-Id": bad}).headers["x-request-id"]
        assert made != bad and len(made) == 36


def test_health_says_what_it_waits_for_then_ok(ask, waiting):
    waiting.append("kafka")
    answer = ask("GET", "/healthz")
    assert (answer.status, answer.json()) == (503, {"status": "waiting", "waiting_for": ["kafka"]})

    waiting.clear()
    assert (ask("GET", "/healthz").status, ask("GET", "/healthz").json()) == (200, {"status": "ok"})


def test_requests_are_counted_by_route_never_by_path(ask, router):
    ask("GET", "/users/u-secret/follows/b")
    ask("GET", "/u-secret")
    text = ask("GET", "/metrics").body.decode()

    route = "/users/{user_id}/follows/{target}"
    assert router.metrics.value("foryou_http_requests_total", route=route, status="200") == 1
    assert router.metrics.value("foryou_http_requests_total", route="none", status="404") == 1
    assert "u-secret" not in text and "foryou_up 1.0" in text
