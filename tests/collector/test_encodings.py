"""Packed bodies at every event door: gzip, zstd, deflate; bounded, and known by their first bytes."""

import gzip
import json
import tracemalloc
import zlib

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from foryou.collector.split import Unsplittable
from foryou.collector.unpack import MAX_UNPACKED_BYTES, unpack

ACTION = "events.action.v1"


def bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKED = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", PACKED)
def test_a_packed_batch_is_taken(collector, like, encoding):
    body = PACKED[encoding](json.dumps([like(), like()]).encode())
    answer = collector.ask("POST", "/v1/events", body, {"content-encoding": encoding.upper()})

    assert (answer.status, answer.json()["accepted"]) == (202, 2)


def test_a_side_door_takes_it_too(collector):
    body = gzip.compress(b'{"region":"FR"}')
    assert collector.ask("PUT", "/v1/users/u1", body, {"content-encoding": "gzip"}).status == 202
    assert collector.records("events.account.v1")[0]["region"] == "FR"


def test_what_is_called_deflate_may_lack_its_wrapping(collector, like):
    body = bare_deflate(json.dumps(like()).encode())
    assert collector.ask("POST", "/v1/events", body, {"content-encoding": "deflate"}).status == 202


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "zstd"])
def test_gzip_is_known_by_its_first_bytes_whatever_the_header_says(collector, like, encoding):
    headers = {"content-type": "text/plain", **({"content-encoding": encoding} if encoding else {})}
    assert collector.ask("POST", "/v1/events", gzip.compress(json.dumps(like()).encode()), headers).status == 202


@given(st.binary(max_size=2_000), st.sampled_from(sorted(PACKED)))
def test_what_was_packed_comes_out(body, encoding):
    assert unpack(PACKED[encoding](body), encoding) == body


@given(st.binary(max_size=300), st.sampled_from([*sorted(PACKED), "identity", "br"]))
def test_any_bytes_are_unpacked_or_refused(body, encoding):
    try:
        unpack(body, encoding)
    except Unsplittable as refused:
        assert refused.problem.field and refused.problem.remedy


def test_glued_members_are_one_body():
    assert unpack(gzip.compress(b"a") + gzip.compress(b"b"), "gzip") == b"ab"
    assert unpack(zstd.compress(b"a") + zstd.compress(b"b"), "zstd") == b"ab"


@pytest.mark.parametrize("encoding", PACKED)
def test_a_bomb_is_a_413_and_is_not_unpacked(collector, encoding):
    bomb = PACKED[encoding](b"[" + b" " * 12 * MAX_UNPACKED_BYTES)
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    answer = collector.ask("POST", "/v1/events", bomb, {"content-encoding": encoding})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (answer.status, answer.json()["reason"], answer.json()["field"]) == (413, "too_large", "body")
    assert peak < 4 * MAX_UNPACKED_BYTES
    (letter,) = collector.rejected()
    assert letter["body"] == bomb[: 256 << 10]


@pytest.mark.parametrize("encoding", PACKED)
def test_the_bound_is_exact(encoding):
    assert len(unpack(PACKED[encoding](b" " * MAX_UNPACKED_BYTES), encoding)) == MAX_UNPACKED_BYTES
    with pytest.raises(Unsplittable):
        unpack(PACKED[encoding](b" " * (MAX_UNPACKED_BYTES + 1)), encoding)


def test_ten_thousand_empty_members_are_refused_at_once(collector):
    answer = collector.ask("POST", "/v1/events", gzip.compress(b"") * 10_000, {"content-encoding": "gzip"})
    assert (answer.status, answer.json()["reason"]) == (400, "broken_encoding")


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("spoil", [lambda b: b[:-5], lambda b: b[:10], lambda b: b + b"x", lambda b: b[:3] + b"\0" * 9])
def test_a_broken_body_is_a_400_that_names_the_header(collector, like, encoding, spoil):
    lines = "\n".join([json.dumps(like())] * 50).encode()
    body = spoil(PACKED[encoding](lines))
    answer = collector.ask("POST", "/v1/events", body, {"content-encoding": encoding})

    assert (answer.status, answer.json()["reason"]) == (400, "broken_encoding")
    assert answer.json()["field"] == "content-encoding" and answer.json()["remedy"]
    assert [letter["body"] for letter in collector.rejected()] == [body]


def test_a_plain_body_that_says_gzip_is_a_400(collector, like):
    answer = collector.ask("POST", "/v1/events", json.dumps(like()).encode(), {"content-encoding": "gzip"})
    assert (answer.status, answer.json()["reason"]) == (400, "broken_encoding")
