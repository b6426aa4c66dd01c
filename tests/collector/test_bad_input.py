"""Bad input at the events door: a 4xx with problem+json that names the field and the remedy; nothing lost, no crash."""

import json

import pytest

from .conftest import NOW

E = f'"event_type":"like","user_id":"u1","video_id":"v1","event_time":{NOW}'.encode()


def with_(more: bytes) -> bytes:
    return b"{" + E + b"," + more + b"}"


def replacing(**changes) -> bytes:
    event = json.loads(b"{" + E + b"}") | changes
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


NOT_JSON = {
    "words": b"hello",
    "half": b'{"event_type":"like"',
    "html": b"<html></html>",
    "nan": b'{"event_type":"like","user_id":"u1","video_id":"v1","event_time":NaN}',
    "infinity": with_(b'"watch_ms":Infinity'),
    "lone surrogate": with_(b'"query":"\\ud800"'),
    "encoded surrogate": with_(b'"query":"\xed\xa0\x80"'),
    "not utf-8": with_(b'"query":"\xff"'),
    "not utf-8 where nobody reads": with_(b'"zzz":"\xff"'),
    "byte order mark": b"\xef\xbb\xbf{" + E + b"}",
    "utf-16": ("{" + E.decode() + "}").encode("utf-16"),
    "raw NUL": with_(b'"query":"\x00"'),
    "single quotes": b"{'event_type': 'like'}",
    "trailing comma": b"{" + E + b",}",
    "double key": with_(b'"video_id":"v2"'),
    "double key inside": with_(b'"context":{"os":"a","os":"b"}'),
    "double key where nobody reads": with_(b'"zzz":{"a":1,"a":2}'),
    "deep arrays": with_(b'"zzz":' + b"[" * 100_000 + b"]" * 100_000),
    "deep objects": with_(b'"zzz":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "seventeen deep": with_(b'"zzz":' + b"[" * 16 + b"]" * 16),
    "only brackets": b'{"a":' * 200_000,
    "huge number": with_(b'"zzz":' + b"9" * 100_000),
}

BAD_VALUES = {
    "event_type": [replacing(event_type="lick"), replacing(event_type=None), replacing(event_type=7), b"{}"],
    "event_time": [
        replacing(event_time=value)
        for value in (
            None,
            "9999-12-31T23:59:59Z",
            253_402_300_799_000,
            "0001-01-01T00:00:00+23:59",
            "1999-12-31T23:59:59Z",
            NOW // 1000,
            -1,
            NOW + 86_400_001,
            10**30,
            1.5,
            True,
            "yesterday",
            "2026-09-21",
            "2026-09-21T14:13:20",
            "",
            "9" * 50,
            [],
            {},
        )
    ],
    "sent_at": [replacing(sent_at="9999-01-01T00:00:00Z"), replacing(sent_at=[])],
    "event_id": [
        replacing(event_id=value)
        for value in ("", "1", "x" * 36, "0190f7a27c3b7d1e9a5f1a2b3c4d5e6f", 5, "00000000-0000-0000-0000-000000000000")
    ],
    "user_id": [replacing(user_id=value) for value in (None, "", "a|b", "a\x00", "a\n", "x" * 129, 5, {})],
    "video_id": [replacing(video_id=value) for value in (None, "", "a|b", "\x7f", "v\n", 1)],
    "target_user_id": [
        replacing(event_type="follow"),
        replacing(event_type="block", target_user_id=""),
        replacing(event_type="follow", target_user_id="u1"),
    ],
    "duration_ms": [
        replacing(event_type="video_published", creator_id="c", duration_ms=0, category="cats"),
        replacing(event_type="video_updated", duration_ms=0),
        replacing(event_type="view_end", watch_ms=1, duration_ms=-1),
    ],
    "watch_ms": [replacing(event_type="view_end"), replacing(watch_ms=-1), replacing(watch_ms=10**9)],
    "seq": [replacing(seq=-1), replacing(seq="1"), replacing(seq=1.5), replacing(seq=2**40)],
    "position": [replacing(position=-1), replacing(position=2**31)],
    "context": [replacing(context="wifi"), replacing(context=[])],
    "context.os": [replacing(context={"os": 4}), replacing(context={"os": "x" * 65})],
    "consent": [replacing(consent=True)],
    "consent.*": [replacing(consent={"ads": "yes"})],
    "properties": [replacing(properties=[]), replacing(properties={f"k{i}": "" for i in range(33)})],
    "properties.*": [
        replacing(properties={"a": 1}),
        replacing(properties={"a": "x" * 257}),
        replacing(properties={"a": {"b": "c"}}),
        replacing(properties={"a": "\x00"}),
    ],
    "query": [replacing(event_type="search"), replacing(query="a\x00b"), replacing(query="x" * 257)],
    "moderation": [replacing(event_type="video_moderated", moderation="maybe")],
    "category": [
        replacing(event_type="video_published", creator_id="c", duration_ms=1, category="a|b"),
        replacing(event_type="video_published", creator_id="c", duration_ms=1, category=""),
    ],
    "hashtags[0]": [replacing(hashtags=[1])],
    "hashtags": [replacing(hashtags=["a"] * 33)],
    "birth_year": [replacing(event_type="account_created", birth_year=9999)],
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_no_json_is_a_400(collector, body):
    answer = collector.post(body)

    told = answer.json()
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert told["reason"] in ("not_json", "too_deep", "double_key") and told["field"] and told["remedy"]
    (letter,) = collector.rejected()
    assert letter["body"] == body.strip()[: 256 << 10]
    assert collector.counted("received") == collector.counted("rejected") == 1


@pytest.mark.parametrize(("field", "body"), [(field, body) for field, bodies in BAD_VALUES.items() for body in bodies])
def test_what_breaks_the_contract_is_a_422_that_names_the_field_and_the_remedy(collector, field, body):
    answer = collector.post(body)

    told = answer.json()
    assert (answer.status, told["field"]) == (422, field), told
    assert told["remedy"] and told["detail"] and "regex" not in told["detail"]
    assert [letter["body"] for letter in collector.rejected()] == [body]


@pytest.mark.parametrize("body", [b"null", b"1", b'"like"', b"true"])
def test_json_that_is_no_object_is_a_422(collector, body):
    answer = collector.post(body)

    assert (answer.status, answer.json()["field"], answer.json()["remedy"]) == (
        422,
        "$",
        "send every event as a JSON object",
    )


@pytest.mark.parametrize("body", [b"", b" \n ", b"[]", b"[ ]", b"\n"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
def test_nothing_is_a_400(collector, body, content_type):
    answer = collector.post(body, content_type)

    assert answer.status in (400, 422) and answer.json()["remedy"]


@pytest.mark.parametrize("body", [b"[{}", b"[", b"[{},", b"[{}]]", b"[{}] {}", b"[1]2", b'["'])
def test_an_array_without_its_end_or_with_something_after_it_is_a_400(collector, body):
    answer = collector.post(body)

    assert (answer.status, answer.json()["reason"]) == (400, "not_json")
    assert [letter["body"] for letter in collector.rejected()] == [body]


@pytest.mark.parametrize("content_type", ["text/html", "multipart/form-data", "application/x-www-form-urlencoded", "x"])
def test_another_content_type_is_a_415(collector, content_type):
    answer = collector.post(b"{" + E + b"}", content_type)

    assert (answer.status, answer.json()["field"]) == (415, "content-type")
    assert "application/x-ndjson" in answer.json()["remedy"]


@pytest.mark.parametrize("charset", ["latin-1", "ISO-8859-1", "utf-16", '"utf-7"', ""])
@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/plain"])
def test_another_charset_than_utf_8_is_a_415(collector, kind, charset):
    body = b"{" + E + b"}"
    answer = collector.post(body, f"{kind}; q=1; charset={charset}")

    assert (answer.status, answer.json()["reason"]) == (415, "bad_content_type")
    assert (answer.json()["field"], answer.json()["remedy"]) == (
        "content-type",
        "encode the body as UTF-8 and say charset=utf-8",
    )
    assert [letter["body"] for letter in collector.rejected()] == [body]


@pytest.mark.parametrize("parameters", ["charset=utf-8", ' Charset="UTF-8"', "charset=utf8", "q=1", ""])
def test_utf_8_and_parameters_that_mean_nothing_are_taken(collector, parameters):
    assert collector.post(b"{" + E + b"}", f"application/json;{parameters}").status == 202


def test_an_encoding_that_nobody_knows_is_a_415(collector):
    answer = collector.ask("POST", "/v1/events", b"{}", {"content-encoding": "br"})

    assert (answer.status, answer.json()["field"]) == (415, "content-encoding")
    assert "gzip" in answer.json()["remedy"]


def test_a_view_of_unknown_length_and_an_unfollow_of_oneself_are_taken(collector):
    assert collector.post(replacing(event_type="view_end", watch_ms=1, duration_ms=0)).status == 202
    assert collector.post(replacing(event_type="unfollow", target_user_id="u1")).status == 202


def test_following_oneself_under_the_key_that_was_given_out_is_refused_too(collector):
    key = collector.identity.user_key("demo", "u1")
    answer = collector.post(replacing(event_type="follow", target_user_id=key))

    assert (answer.status, answer.json()["field"]) == (422, "target_user_id")


def test_colons_in_values_are_no_double_keys(collector):
    odd = with_(b'"query":"a:b:c","session_id":null,"zzz":"::","event_id" : null')

    assert collector.post(odd).status == 202


def test_a_string_without_end_full_of_escaped_quotes_is_read_once(collector):
    answer = collector.post(b"[" + b"{" * 20 + b'"' + b'\\"' * 500_000)

    assert answer.status == 400
