"""Requests of the HTTP interface."""

import base64
import gzip

import pytest

from foryou.analytics.errors import QueryError
from foryou.analytics.request import deflate, inflate, parse


def test_a_query_may_be_in_the_url_or_in_the_body():
    for ask in (parse("query=SELECT%201", {}, b""), parse("", {}, b"SELECT 1"), parse("query=SELECT", {}, b"1")):
        assert " ".join(ask.sql.split()) == "SELECT 1"
        assert (ask.data, ask.format, ask.database, ask.user) == (None, "TabSeparated", "foryou", "")


def test_parameters_settings_and_transport_are_told_apart():
    ask = parse(
        "param_x=5&max_threads=1&database=d&wait_end_of_query=1&default_format=JSON&query_id=q", {}, b"SELECT 1"
    )
    assert (ask.params, ask.settings, ask.database, ask.format, ask.query_id) == (
        {"x": "5"},
        {"max_threads": "1"},
        "d",
        "JSON",
        "q",
    )


@pytest.mark.parametrize(
    ("query_string", "headers"),
    [
        ("user=writer&password=k:1", {}),
        ("", {"x-clickhouse-user": "writer", "x-clickhouse-key": "k:1"}),
        ("", {"authorization": "Basic " + base64.b64encode(b"writer:k:1").decode()}),
    ],
)
def test_who_asks_is_said_in_three_ways(query_string, headers):
    ask = parse(query_string, headers, b"SELECT 1")
    assert (ask.user, ask.password) == ("writer", "k:1")
    assert "k:1" not in repr(ask)


def test_the_data_of_an_insert_are_its_bytes():
    data = bytes(range(256))
    for ask in (
        parse("query=INSERT%20INTO%20t%20FORMAT%20Native", {}, data),
        parse("", {}, b"INSERT INTO t FORMAT Native\n" + data),
    ):
        assert (ask.sql.strip(), ask.data, ask.statement.format) == ("INSERT INTO t", data, "Native")


def test_a_head_with_letters_beyond_ascii_does_not_shift_the_data():
    ask = parse("", {}, "INSERT INTO `été` FORMAT CSV\nü".encode())
    assert (ask.sql, ask.data) == ("INSERT INTO `été` ", "ü".encode())


def test_a_packed_body_is_unpacked():
    assert parse("", {"content-encoding": "gzip"}, gzip.compress(b"SELECT 1")).sql == "SELECT 1"
    for name in ("gzip", "zstd", "lz4"):
        packed, encoding = deflate(b"x" * 5000, f"{name};q=1, identity")
        assert (encoding, inflate(packed, name)) == (name, b"x" * 5000)


def test_an_encoding_that_is_not_known_or_not_kept_is_an_error():
    for encoding, body, status in (("compress", b"x", 415), ("gzip", b"not gzip", 400)):
        with pytest.raises(QueryError) as refused:
            inflate(body, encoding)
        assert refused.value.status == status


def test_a_client_that_accepts_nothing_gets_it_plain():
    assert deflate(b"abc", None) == (b"abc", None)
