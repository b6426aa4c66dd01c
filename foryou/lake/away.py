"""Which part of the stack a step of the night lacked, told in place of what its client raised."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from confluent_kafka import KafkaError, KafkaException

from foryou.lake.patience import A_MINUTE, Patience

TIMEOUT_S = 3.0
_NO_KAFKA = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT})


@dataclass(frozen=True)
class Part:
    """A part that a step speaks to: its name, and its URL (of Kafka, the bootstrap servers)."""

    name: str
    address: str

    @property
    def places(self) -> set[tuple[str, int]]:
        """Where it listens, as (host, port)."""
        if "://" in self.address:
            url = httpx.URL(self.address)
            return {_place(url)}
        pairs = (server.rpartition(":") for server in self.address.split(","))
        return {(host.strip("[] "), int(port)) for host, _, port in pairs}


class PartAway(Exception):
    """A part does not answer; the message says which, and at which address."""


def listens(part: Part) -> bool:
    """Whether anything takes connections at one of its addresses."""
    for place in part.places:
        try:
            socket.create_connection(place, timeout=TIMEOUT_S).close()
        except OSError:
            continue
        return True
    return False


@contextmanager
def needing(
    kafka: Part | None,
    others: Sequence[Part],
    listening: Callable[[Part], bool] = listens,
    patience: Patience = A_MINUTE,
) -> Iterator[None]:
    """Raises PartAway, from what the step raised, when a part's absence explains that.

    Of the others the request that failed tells which it was. Kafka is asked itself, also before: Spark would wait for
    it for minutes, and so for a minute at most. `kafka`: None for a step that reads and writes no topic.
    """
    pauses = patience.pauses()
    while kafka is not None and not listening(kafka):
        if not next(pauses, False):
            raise _away(kafka)
    try:
        yield
    except Exception as error:
        away = _of_request(error, others)
        if away is None and kafka is not None and (_no_kafka(error) or not listening(kafka)):
            away = _away(kafka)
        if away is None:
            raise
        raise away from error


def _away(part: Part, told: str = "does not answer") -> PartAway:
    return PartAway(f"{part.name} at {part.address} {told}")


def _of_request(error: Exception, parts: Sequence[Part]) -> PartAway | None:
    """What became of a request to one of the parts, anywhere among an error's causes."""
    cause: BaseException | None = error
    while cause is not None:
        told = "does not answer"
        if isinstance(cause, httpx.HTTPStatusError) and cause.response.is_server_error:
            told = f"answers {cause.response.status_code}"
        elif not isinstance(cause, httpx.TransportError):
            cause = cause.__cause__ or cause.__context__
            continue
        place = _place(cause.request.url)
        return next((_away(part, told) for part in parts if place in part.places), None)
    return None


def _no_kafka(error: Exception) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in _NO_KAFKA


def _place(url: httpx.URL) -> tuple[str, int]:
    return url.host, url.port or (443 if url.scheme == "https" else 80)
