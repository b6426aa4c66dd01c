"""A phone's two verbs over HTTP: send what happened, ask for a page. Phones of a run share connections and books."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

import msgspec

from foryou.simulator.catalogue import Event
from foryou.simulator.mischief import Batch
from foryou.simulator.tally import Tally
from foryou.simulator.wire import Answer, Door

PATIENCE_S = 60.0  # how long a phone keeps trying to hand over a batch


class Item(msgspec.Struct, frozen=True):
    """One item of a page, as answered."""

    video_id: str
    impression_id: str
    position: int
    creator_id: str
    duration_ms: int | None = None
    category: str | None = None
    source: str | None = None
    score: float | None = None


class Page(msgspec.Struct, frozen=True):
    """An answer of the feed."""

    request_id: str
    items: list[Item]
    fallback: str | None = None
    model_version: str | None = None


EMPTY = Page("", [])
_page = msgspec.json.Decoder(Page)
_encode = msgspec.json.Encoder().encode


class _Verdicts(msgspec.Struct, frozen=True):
    accepted: int
    rejected: int


_verdicts = msgspec.json.Decoder(_Verdicts)


class Phone(Protocol):
    """What the people hold in their hands."""

    async def send(self, batch: Batch) -> None:
        """Hands a batch over, trying again while told to wait."""

    async def feed(self, user_id: str, limit: int) -> Page:
        """The next page; an empty one when there is no answer."""


@dataclass(frozen=True)
class HttpPhone:
    """Phones over two doors. Keeps the tally of what was sent and answered."""

    collector: Door
    ranker: Door
    tally: Tally

    async def send(self, batch: Batch) -> None:
        """Posts a batch, again when told to wait, and once more than needed when the batch says so."""
        if not batch.events:
            return
        if not await self._hand_over(batch):
            return
        self.tally.late_made += batch.late
        self.tally.broken_made += batch.broken
        if batch.twice and await self._hand_over(batch):
            self.tally.retries += 1
            self.tally.late_made += batch.late  # late is judged before duplicate: late again
            self.tally.broken_made += batch.broken
            self.tally.duplicates_made += batch.sound - batch.late

    async def _hand_over(self, batch: Batch) -> bool:
        body = encoded(batch.events)
        give_up = time.monotonic() + PATIENCE_S
        while True:
            begin = time.perf_counter()
            try:
                answer = await self.collector.post("/v1/events", body)
            except OSError as error:
                # It may have arrived: the same ids go out again, and which copy counts is the platform's to sort out.
                self.tally.unsure += len(batch.events)
                self.tally.failed(f"POST /v1/events: {type(error).__name__} {error}")
                wait_s = 1.0
            else:
                if answer.status not in (429, 503):
                    self.tally.ack_ms.append((time.perf_counter() - begin) * 1_000)
                    self._count(batch, answer)
                    return True
                self.tally.failed(f"POST /v1/events: {answer.status} {answer.body[:200]!r}")
                wait_s = float(answer.headers.get("retry-after", "1"))
            if time.monotonic() + wait_s > give_up:
                return False
            await asyncio.sleep(wait_s)

    def _count(self, batch: Batch, answer: Answer) -> None:
        accepted, rejected = verdict(answer, len(batch.events))
        self.tally.requests += 1
        self.tally.sent += len(batch.events)
        self.tally.accepted += accepted
        self.tally.rejected += rejected
        if rejected != batch.broken:
            self.tally.failed(f"POST /v1/events: {answer.status} {answer.body[:400]!r}")

    async def feed(self, user_id: str, limit: int) -> Page:
        """GET /v1/feed."""
        begin = time.perf_counter()
        try:
            answer = await self.ranker.get(f"/v1/feed?user_id={quote(user_id)}&limit={limit}")
        except OSError as error:
            self.tally.feed_failures += 1
            self.tally.failed(f"GET /v1/feed: {type(error).__name__} {error}")
            return EMPTY
        if answer.status != 200:
            self.tally.feed_failures += 1
            self.tally.failed(f"GET /v1/feed: {answer.status} {answer.body[:200]!r}")
            return EMPTY
        try:
            page = _page.decode(answer.body)
        except msgspec.DecodeError as error:
            self.tally.feed_failures += 1
            self.tally.failed(f"GET /v1/feed: {error}: {answer.body[:200]!r}")
            return EMPTY
        self.tally.feed_ms.append((time.perf_counter() - begin) * 1_000)
        if page.fallback:
            self.tally.fallbacks[page.fallback] = self.tally.fallbacks.get(page.fallback, 0) + 1
        return page


def encoded(events: Sequence[Event]) -> bytes:
    """A JSON array."""
    return _encode(events)


def verdict(answer: Answer, sent: int) -> tuple[int, int]:
    """(accepted, rejected) of an answer to a post of `sent` events. A 5xx says neither of any event."""
    if answer.status == 202:
        return sent, 0
    if answer.status == 207:
        said = _verdicts.decode(answer.body)
        return said.accepted, said.rejected
    return (0, sent) if 400 <= answer.status < 500 else (0, 0)
