"""Waiting for a part of the stack that ended and is being started again: the supervisor takes seconds for that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
_NO_ANSWER = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)
_NOT_YET = 503


@dataclass(frozen=True)
class Patience:
    """For how long a part is waited for. The clock counts seconds from anywhere."""

    limit_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def pauses(self) -> Iterator[bool]:
        """Sleeps, and yields True, as often as there may be one more try; time counts from the first of them."""
        end, pause = self.clock() + self.limit_s, FIRST_PAUSE_S
        while (left := end - self.clock()) > 0:
            self.sleep(min(pause, left))
            yield True
            pause = min(2 * pause, LONGEST_PAUSE_S)


A_MINUTE = Patience()


class Patient(httpx.BaseTransport):
    """Sends a request again while nobody takes it, the connection breaks, or the part says that it is not ready (503).

    For requests that may be sent twice. One that is merely slow is not sent again. In the end it is the last try's
    error or answer that the client gets.
    """

    def __init__(self, patience: Patience = A_MINUTE, inner: httpx.BaseTransport | None = None) -> None:
        self._patience = patience
        self._inner = inner or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer. Raises httpx.TransportError."""
        pauses = self._patience.pauses()
        while True:
            try:
                answer = self._inner.handle_request(request)
            except _NO_ANSWER:
                if not next(pauses, False):
                    raise
            else:
                if answer.status_code != _NOT_YET or not next(pauses, False):
                    return answer
                answer.close()

    def close(self) -> None:
        """Closes its connections."""
        self._inner.close()
