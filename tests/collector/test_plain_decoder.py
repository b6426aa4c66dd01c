"""Plain text decodes as it does with every pattern asked, and what a pattern forbids is never called plain."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from foryou.contract import plain
from foryou.contract.events import ClientEvent

STRICT = msgspec.json.Decoder(ClientEvent).decode
CHEAP = plain.decoder(ClientEvent)
NASTY = st.text(st.sampled_from('ab|\x00\x1f\x7f\x80\x9fü\\"\n '), max_size=5) | st.text(max_size=130)
FIELDS = ["user_id", "video_id", "query", "network", "category", "session_id", "event_id"]


def verdict(decode, raw):
    """What a decoder says, without the class that says it."""
    try:
        return msgspec.to_builtins(decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return str(error)


@given(st.dictionaries(st.sampled_from(FIELDS), NASTY | st.integers()), NASTY, st.booleans(), st.booleans())
@example({}, "a|b", True, True)
@example({}, "", False, True)
def test_both_decoders_say_the_same(fields, word, ascii_only, raw_controls):
    event = {"event_type": "like", "event_time": 1, **fields, "properties": {word: word}, "context": {"os": word}}
    raw = json.dumps(event | {"hashtags": [word], "consent": {word: True}}, ensure_ascii=ascii_only)
    if raw_controls:
        raw = raw.replace("\\u0000", "\x00").replace("\\u001f", "\x1f").replace("\\u007f", "\x7f")
    raw = raw.encode("utf-8", "surrogatepass")
    assert verdict(CHEAP, raw) == verdict(STRICT, raw)


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), ord("|")])
@pytest.mark.parametrize("name", ["user_id", "event_type"])
def test_a_forbidden_character_is_refused_however_it_is_written(code, name):
    for written in (chr(code), f"\\u{code:04x}"):
        raw = json.dumps({"event_type": "like", "event_time": 1, name: "x?x"}).replace("?", written).encode()
        if name == "event_type" and code == ord("|"):
            continue  # allowed in a word, forbidden in an id
        with pytest.raises(msgspec.DecodeError):
            CHEAP(raw)


def test_the_usual_event_is_plain():
    assert plain.is_plain(json.dumps({"event_type": "like", "user_id": "u-1", "video_id": "v_2"}).encode())
