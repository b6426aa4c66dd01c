"""How deep JSON nests: the quick ways say what the slow one says."""

from hypothesis import given
from hypothesis import strategies as st

from foryou.contract.depth import depth_exceeds


def naive(text, limit):
    depth, inside, escaped = 0, False, False
    for byte in text:
        mark = bytes([byte])
        if inside:
            escaped, inside = (mark == b"\\" and not escaped), (escaped or mark != b'"')
        elif mark == b'"':
            inside = True
        elif mark in b"{[":
            depth += 1
            if depth > limit:
                return True
        elif mark in b"}]":
            depth -= 1
    return False


@given(st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b",", b"a"]), max_size=60), st.integers(0, 5))
def test_any_text_is_told_as_a_plain_reader_tells_it(pieces, limit):
    text = b"".join(pieces)
    assert depth_exceeds(text, limit) == naive(text, limit)
