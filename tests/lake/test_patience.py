"""A part that is being started again is waited for, for a minute; what cannot be mended by waiting is said at once."""

import httpx
import pytest

from foryou.lake.patience import Patient

from .waits import Waits

OK, NOT_READY, REFUSED = httpx.Response(200), httpx.Response(503), httpx.Response(422)
BROKE = [
    httpx.ConnectError("[Errno 111] refused"),
    httpx.ReadError("reset"),
    httpx.RemoteProtocolError("closed without an answer"),
    httpx.ConnectTimeout("nobody"),
]


def asked(*happens, body=b"rows"):
    """The last of what happens goes on for ever. Returns the answer or the error, the seconds waited, the bodies."""
    seen, waits = [], Waits()

    def answer(request):
        seen.append(request.content)
        now = happens[min(len(seen), len(happens)) - 1]
        if isinstance(now, Exception):
            raise now
        return httpx.Response(now.status_code)

    with httpx.Client(transport=Patient(waits.patience, httpx.MockTransport(answer))) as http:
        try:
            said = http.post("http://127.0.0.1:8123/admin/replace", content=body).status_code
        except httpx.TransportError as error:
            said = type(error)
    return said, waits.now, seen


@pytest.mark.parametrize("broke", BROKE, ids=lambda error: type(error).__name__)
def test_a_request_whose_part_was_killed_goes_out_again(broke):
    assert asked(broke, BROKE[0], BROKE[0], NOT_READY, OK) == (200, 0.5 + 1 + 2 + 4, [b"rows"] * 5)


def test_after_a_minute_it_is_the_last_error_or_answer_that_counts():
    for last, said in ((BROKE[0], httpx.ConnectError), (NOT_READY, 503)):
        told, waited, seen = asked(last)
        assert (told, waited) == (said, 60.0)
        assert 10 < len(seen) < 20  # the pauses grow, up to five seconds


def test_what_is_slow_or_refused_is_not_sent_again():
    assert asked(httpx.ReadTimeout("half an hour"), OK) == (httpx.ReadTimeout, 0.0, [b"rows"])
    assert asked(REFUSED, OK) == (422, 0.0, [b"rows"])
