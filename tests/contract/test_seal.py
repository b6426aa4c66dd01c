"""Sealed bytes: opened by whoever has the secret, unchanged or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.contract.seal import MAGIC, CannotOpen, Seal, secret_of
from foryou.contract.secret_ring import SecretRing, decode_ring, encode_ring, new_ring

RING = new_ring()
SEAL = Seal(lambda: RING, "dead letter")


@given(st.binary(max_size=2_000))
def test_what_is_sealed_opens_as_it_was_and_does_not_show(plain):
    sealed = SEAL(plain)
    assert SEAL.open(sealed) == plain
    assert secret_of(sealed) == RING.current
    assert len(plain) < 4 or plain not in sealed[len(MAGIC) :]


def test_the_same_bytes_are_never_sealed_alike():
    assert SEAL(b"x") != SEAL(b"x")


@given(st.data())
def test_changed_or_shortened_bytes_do_not_open(data):
    sealed = SEAL(b'{"user_id":"anna"}')
    place = data.draw(st.integers(0, len(sealed) - 1))
    flipped = sealed[:place] + bytes([sealed[place] ^ data.draw(st.integers(1, 255))]) + sealed[place + 1 :]
    for broken in (flipped, sealed[:place]):
        with pytest.raises(CannotOpen):
            SEAL.open(broken)


@given(st.binary(max_size=100))
def test_no_bytes_break_it(data):
    with pytest.raises(CannotOpen):
        SEAL.open(data)


def test_after_a_rotation_old_letters_open_and_new_ones_have_the_new_secret():
    rings = [RING.rotated(keep=5)]
    seal = Seal(lambda: rings[0], "dead letter")
    assert seal.open(SEAL(b"old")) == b"old"
    assert secret_of(seal(b"new")) == rings[0].current != RING.current
    rings[0] = new_ring()
    with pytest.raises(CannotOpen, match="not known"):
        seal.open(SEAL(b"old"))


def test_what_was_sealed_for_one_purpose_opens_for_no_other():
    with pytest.raises(CannotOpen):
        Seal(lambda: RING, "something else").open(SEAL(b"x"))


def test_a_ring_keeps_so_many_secrets_and_shows_none():
    ring = RING.rotated(3).rotated(3).rotated(3)
    assert len(ring.secrets) == 3 and ring.current in ring.secrets
    assert RING.rotated(1).secrets.keys() == {RING.rotated(1).current} or len(RING.rotated(1).secrets) == 1
    assert decode_ring(encode_ring(ring)) == ring
    assert not [secret for secret in ring.secrets.values() if secret in repr(ring)]


@pytest.mark.parametrize("secrets", [{}, {"a": "00"}, {"a": "xx"}, {"b": "00" * 32}])
def test_a_ring_without_its_current_secret_or_with_a_short_one_is_none(secrets):
    ring = SecretRing("a", secrets)
    with pytest.raises(ValueError):
        decode_ring(encode_ring(ring))
