"""Tokens: one person, one app, one purpose, one hour."""

import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.contract.secret_ring import decode_ring, encode_ring, new_ring
from foryou.service.callers import Callers, require
from foryou.service.keys import KeyRing, Scope
from foryou.service.problem import Problem
from foryou.service.testing import FixedKeys, known_keys, known_tokens
from foryou.service.tokens import FEED, REPLAY, BadToken, Tokens, looks_like_token

NOW_S = 1_790_000_000


def test_a_token_speaks_for_its_person_until_it_ends():
    tokens = known_tokens()
    text = tokens.issue("demo", "uk_anna", FEED, NOW_S, 60)
    caller = tokens.read(text, FEED, NOW_S + 59)
    assert (caller.app_id, caller.user_key, caller.scopes) == ("demo", "uk_anna", frozenset())
    with pytest.raises(BadToken, match="expired"):
        tokens.read(text, FEED, NOW_S + 60)


def test_a_token_for_one_purpose_opens_no_other():
    tokens = known_tokens()
    with pytest.raises(BadToken):
        tokens.read(tokens.issue("demo", "uk_anna", FEED, NOW_S), REPLAY, NOW_S)


def test_a_token_of_another_stack_opens_nothing():
    with pytest.raises(BadToken):
        known_tokens().read(known_tokens().issue("demo", "uk_anna", FEED, NOW_S), FEED, NOW_S)


TOKENS = known_tokens()
ANNAS = TOKENS.issue("demo", "uk_anna", FEED, NOW_S)


@given(st.data())
def test_whoever_changes_a_token_has_none(data):
    tokens, text = TOKENS, ANNAS
    place = data.draw(st.integers(0, len(text) - 2))  # the last character has bits that mean nothing
    other = data.draw(st.sampled_from([c for c in "ABCabc019-_." if c != text[place]]))
    with pytest.raises(BadToken):
        tokens.read(text[:place] + other + text[place + 1 :], FEED, NOW_S)


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_a_token_that_says_it_needs_no_signature_has_none():
    tokens = known_tokens()
    claims = {"iss": "foryou", "aud": FEED, "app": "demo", "sub": "uk_anna", "exp": NOW_S + 60}
    ring = tokens.ring()
    for algorithm, key in (("none", None), ("HS384", bytes.fromhex(ring.secrets[ring.current]))):
        text = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": ring.current})
        with pytest.raises(BadToken):
            tokens.read(text, FEED, NOW_S)


@pytest.mark.parametrize("lacks", ["exp", "app", "sub", "aud", "iss"])
def test_a_token_that_lacks_a_word_opens_nothing(lacks):
    tokens = known_tokens()
    ring = tokens.ring()
    claims = {"iss": "foryou", "aud": FEED, "app": "demo", "sub": "uk_anna", "exp": NOW_S + 60}
    del claims[lacks]
    text = jwt.encode(
        claims, bytes.fromhex(ring.secrets[ring.current]), algorithm="HS256", headers={"kid": ring.current}
    )
    with pytest.raises(BadToken):
        tokens.read(text, FEED, NOW_S)


def test_after_a_new_secret_the_tokens_of_the_one_before_still_open_and_older_ones_do_not():
    first = new_ring()
    second = first.rotated(2)
    third = second.rotated(2)
    text = Tokens(lambda: first).issue("demo", "uk_anna", FEED, NOW_S)
    assert Tokens(lambda: second).read(text, FEED, NOW_S).user_key == "uk_anna"
    with pytest.raises(BadToken):
        Tokens(lambda: third).read(text, FEED, NOW_S)
    assert decode_ring(encode_ring(second)) == second


def test_the_person_is_in_a_token_by_their_key_alone():
    payload = known_tokens().issue("demo", "uk_anna", FEED, NOW_S).split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert set(said) == {"iss", "aud", "app", "sub", "iat", "exp"}


def test_a_key_is_not_taken_for_a_token():
    assert not any(looks_like_token(text) for text in ("", "fy_key_a.b.c", "eyJ", "eyJ.a", "eyJ.é.a"))


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer nobody", "Basic !!", "Basic bm9ib2R5Og==", "Digest x"]
)
def test_who_is_not_known_gets_a_401_that_does_not_repeat_what_was_sent(header):
    callers = Callers(FixedKeys(KeyRing()), known_tokens())
    with pytest.raises(Problem) as refused:
        callers.authenticate({"authorization": header}, FEED)
    assert (refused.value.status, refused.value.field) == (401, "authorization")
    assert "nobody" not in refused.value.body().decode()


def test_who_posts_without_a_key_is_told_of_the_write_key():
    with pytest.raises(Problem, match="there is no write key") as refused:
        Callers(FixedKeys(KeyRing()), known_tokens()).authenticate({}, REPLAY)
    assert "the app's write key" in refused.value.body().decode()


def test_a_key_comes_as_bearer_or_as_the_basic_user():
    callers = known_keys({"fy_k": "demo"}, [Scope.EVENTS_WRITE])
    for header in ("Bearer fy_k", "bearer  fy_k ", "Basic " + base64.b64encode(b"fy_k:").decode()):
        assert callers.authenticate({"authorization": header}, FEED).app_id == "demo"


def test_a_missing_right_is_named():
    caller = known_keys({"k": "demo"}, [Scope.EVENTS_WRITE]).by_key("k")
    with pytest.raises(Problem, match="feed:read") as refused:
        require(caller, Scope.FEED_READ)
    assert (refused.value.status, refused.value.reason) == (403, "missing_scope")
