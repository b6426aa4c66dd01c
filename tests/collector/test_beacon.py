"""A browser's sendBeacon: plain text, no header of its own, the key in the query."""

import json

from .conftest import KEY

PLAIN = {"content-type": "text/plain;charset=UTF-8", "authorization": "", "origin": "http://localhost:5173"}


def test_a_beacon_brings_its_key_in_the_query(collector, like):
    answer = collector.ask("POST", f"/v1/events?write_key={KEY}", json.dumps([like()]).encode(), PLAIN)

    assert (answer.status, answer.headers["access-control-allow-origin"]) == (202, "http://localhost:5173")


def test_a_header_counts_more_than_the_query(collector, like):
    headers = {**PLAIN, "authorization": "Bearer nobody"}
    assert collector.ask("POST", f"/v1/events?write_key={KEY}", json.dumps(like()).encode(), headers).status == 401


def test_a_wrong_key_in_the_query_is_a_401(collector, like):
    answer = collector.ask("POST", "/v1/events?write_key=nobody", json.dumps(like()).encode(), PLAIN)
    assert (answer.status, "write_key" in answer.json()["remedy"]) == (401, True)
