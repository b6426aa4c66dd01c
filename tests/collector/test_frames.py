"""Frames are found again, whatever became of the bytes before them, and nothing that was not written is found."""

from hypothesis import given
from hypothesis import strategies as st

from foryou.collector.log.frames import HEAD_BYTES, Bad, Frame, frame, scan

MARKER = b"\x01marker\xff"
PAYLOADS = [b"", b"a", b"second", b"x" * 40, MARKER, b"last one"]


def log_of(payloads):
    return b"".join(frame(MARKER, number, payload) for number, payload in enumerate(payloads))


WHOLE = log_of(PAYLOADS)
ENDS = [len(log_of(PAYLOADS[:n])) for n in range(len(PAYLOADS) + 1)]


def found(data, ended=True):
    return [(item.number, item.payload) for item in scan(data, MARKER, ended=ended).found if isinstance(item, Frame)]


def test_a_whole_log_is_read_as_it_was_written():
    assert found(WHOLE) == list(enumerate(PAYLOADS))


def test_a_log_cut_at_every_byte_gives_its_whole_frames_and_the_rest_is_bad():
    for cut in range(len(WHOLE) + 1):
        whole = sum(end <= cut for end in ENDS[1:])
        read = scan(WHOLE[:cut], MARKER, ended=True).found
        assert [item.payload for item in read if isinstance(item, Frame)] == PAYLOADS[:whole]
        assert [item for item in read if isinstance(item, Bad)] == (
            [Bad(ENDS[whole], cut)] if cut > ENDS[whole] else []
        )


def test_while_a_segment_is_written_a_cut_frame_is_waited_for():
    for cut in range(len(WHOLE) + 1):
        whole = sum(end <= cut for end in ENDS[1:])
        read = scan(WHOLE[:cut], MARKER, ended=False)
        assert (len(read.found), read.next_at) == (whole, ENDS[whole])


def test_any_flipped_bit_costs_its_frame_and_no_other():
    for at in range(len(WHOLE)):
        for bit in range(8):
            bad = bytearray(WHOLE)
            bad[at] ^= 1 << bit
            hit = sum(end <= at for end in ENDS[1:])
            assert found(bytes(bad)) == [pair for pair in enumerate(PAYLOADS) if pair[0] != hit]


def test_what_a_client_sent_is_never_taken_for_a_frame_without_the_marker():
    forged = frame(b"guessed!", 0, b"invented")
    bad = bytearray(log_of([forged, b"good"]))
    bad[0] ^= 1  # the outer frame is lost, so its payload is searched
    assert found(bytes(bad)) == [(1, b"good")]


@given(st.lists(st.binary(max_size=50), max_size=8), st.binary(max_size=60), st.data())
def test_frames_behind_rubbish_are_found(payloads, rubbish, data):
    frames = [frame(MARKER, number, payload) for number, payload in enumerate(payloads)]
    frames.insert(data.draw(st.integers(0, len(frames))), rubbish)
    assert found(b"".join(frames)) == list(enumerate(payloads))


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(1, 200))
def test_a_reader_of_pieces_reads_the_same(payloads, step):
    whole, at, read = log_of(payloads), 0, []
    for end in range(0, len(whole) + step, step):
        got = scan(whole[at:end], MARKER, at, ended=False)
        read += [item.payload for item in got.found]
        at = got.next_at
    assert read == payloads and HEAD_BYTES == 20
