"""Web pages: preflights, origins, and the rule about credentials."""

import asyncio

import pytest

from foryou.service.cors import NOBODY, Cors
from foryou.service.metrics import Metrics
from foryou.service.testing import ask
from foryou.service.web import Router, json_response


def router(cors) -> Router:
    async def size(request):
        return json_response(200, len(request.body))

    app = Router(Metrics(), cors=cors)
    app.add("POST", "/size", size, max_body=10)
    app.add("GET", "/names/{name}", size, max_body=0)
    return app


def asked(cors, method, origin, path="/size"):
    return asyncio.run(ask(router(cors), method, path, headers={"origin": origin} if origin else {}))


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1", "https://localhost:8443"])
def test_pages_of_this_machine_may_by_default(origin):
    answer = asked(Cors(), "OPTIONS", origin)

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert "content-encoding" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert asked(Cors(), "POST", origin).headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "http://localhost:80@evil", "null", "http://x"]
)
def test_other_pages_may_not(origin):
    for method in ("OPTIONS", "POST"):
        headers = asked(Cors(), method, origin).headers
        assert "access-control-allow-origin" not in headers and headers["vary"] == "Origin"


def test_a_listed_origin_may_and_its_dots_are_dots():
    cors = Cors.of("https://app.example.org, http://localhost:*")
    assert asked(cors, "POST", "https://app.example.org").headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in asked(cors, "POST", "https://appxexample.org").headers


def test_any_origin_is_never_told_that_credentials_are_fine():
    headers = asked(Cors.of("*"), "OPTIONS", "https://anywhere.example").headers
    assert headers["access-control-allow-origin"] == "*" and "access-control-allow-credentials" not in headers


def test_a_refusal_can_be_read_by_the_page_too():
    answer = asked(Cors(), "DELETE", "http://localhost")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (405, "http://localhost")


def test_nobody_may_when_the_setting_is_empty_and_without_an_origin_nothing_is_said():
    assert Cors.of("") == NOBODY
    assert not any(name.startswith("access-") for name in asked(NOBODY, "OPTIONS", "http://localhost").headers)
    assert not any(name.startswith("access-") for name in asked(Cors(), "POST", None).headers)


def test_options_of_a_path_with_a_parameter_says_its_methods_and_of_no_path_is_a_404():
    assert asked(Cors(), "OPTIONS", None, "/names/a").headers["allow"] == "GET, OPTIONS"
    assert asked(Cors(), "OPTIONS", None, "/nowhere").status == 404


@pytest.mark.parametrize("said", ["app.example.org", "ftp://x", "https://x/path", "http://*"])
def test_what_is_no_origin_is_refused_at_the_start(said):
    with pytest.raises(ValueError, match="is no origin"):
        Cors.of(said)
