"""A phone, the wire and the load, against a small HTTP server that is told what to answer."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from foryou.simulator.load import offer, taps
from foryou.simulator.mischief import NONE, Batch, Rates, pack
from foryou.simulator.percentiles import percentiles
from foryou.simulator.phone import HttpPhone
from foryou.simulator.run import PublishFailed, publish
from foryou.simulator.tally import Counted, Lanes, Tally, equations
from foryou.simulator.wire import Door, NotLoopback

NOON = 1_790_000_000_000
Answering = Callable[[str, bytes], tuple[int, bytes]]  # (request line, body) → (status, body)


@asynccontextmanager
async def server(answering: Answering, close_after: int = 0) -> AsyncIterator[str]:
    """Answers on a free loopback port; closes each connection after `close_after` answers (0: never)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served = 0
        try:
            while not close_after or served < close_after:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
                status, body = answering(head.split("\r\n")[0], await reader.readexactly(length))
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nRetry-After: 0\r\n\r\n".encode() + body
                )
                await writer.drain()
                served += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def all_accepted(_: str, body: bytes) -> tuple[int, bytes]:
    return 202, json.dumps({"accepted": len(json.loads(body))}).encode()


def events(count: int) -> list[dict[str, object]]:
    return [{"event_id": f"e{each}", "event_type": "like", "event_time": NOON} for each in range(count)]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org:80",
        "http://10.0.0.1:8080",
        "http://0.0.0.0:8080",
        "https://127.0.0.1:8080",
        "http://127.0.0.1.example.org:80",
        "http://127.0.0.1",
    ],
)
def test_a_phone_refuses_whatever_is_not_loopback(url):
    with pytest.raises(NotLoopback):
        Door(url, 1)


def test_a_phone_speaks_to_loopback():
    for url in ("http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"):
        Door(url, 1)


def test_ten_phones_share_two_connections():
    async def scenario() -> int:
        seen = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.add(writer.get_extra_info("peername"))
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            except asyncio.IncompleteReadError:
                writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with Door(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", 2) as door:
            await asyncio.gather(*(door.get("/") for _ in range(10)))
        listening.close()
        return len(seen)

    assert asyncio.run(scenario()) == 2


def test_a_connection_that_the_server_closed_is_opened_again():
    async def scenario() -> list[int]:
        async with server(all_accepted, close_after=1) as url, Door(url, 1) as door:
            statuses = []
            for _ in range(3):
                statuses.append((await door.post("/v1/events", b"[]")).status)
                await asyncio.sleep(0.02)
            return statuses

    assert asyncio.run(scenario()) == [202, 202, 202]


def test_a_chunked_answer_is_read_whole():
    async def scenario() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n"
            )

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with Door(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", 1) as door:
            answer = await door.get("/")
        listening.close()
        return answer.body

    assert asyncio.run(scenario()) == b"hello world"


def test_the_books_count_what_is_sent_twice_late_and_broken():
    def two_refused(_: str, body: bytes) -> tuple[int, bytes]:
        count = len(json.loads(body))
        return 207, json.dumps({"accepted": count - 2, "rejected": 2, "results": []}).encode()

    async def scenario() -> Tally:
        tally = Tally()
        async with server(two_refused) as url, Door(url, 1) as door:
            await HttpPhone(door, door, tally).send(Batch(tuple(events(10)), late=1, broken=2, twice=True))
        return tally

    tally = asyncio.run(scenario())
    assert (tally.sent, tally.accepted, tally.rejected) == (20, 16, 4)
    assert (tally.duplicates_made, tally.late_made, tally.broken_made) == (7, 2, 4)
    assert len(tally.ack_ms) == 2
    lanes = Lanes(accepted=16, rejected=4, clean=7, duplicate=7, late=2)
    counted = Counted(received=20, accepted=16, rejected=4, limited=0, letters=4)
    assert all(each.holds for each in equations(tally, counted, lanes))


def test_a_lost_event_breaks_an_equation():
    tally = Tally(sent=10, accepted=10)
    counted = Counted(received=10, accepted=10, rejected=0, limited=0, letters=0)
    lanes = Lanes(10, 0, clean=9, duplicate=0, late=0)
    broken = [each.name for each in equations(tally, counted, lanes) if not each.holds]
    assert broken == ["accepted = clean + duplicate + late"]


def test_told_to_wait_a_phone_sends_the_same_again_and_counts_it_once():
    bodies = []

    def busy_twice(_: str, body: bytes) -> tuple[int, bytes]:
        bodies.append(body)
        return (503, b"") if len(bodies) < 3 else (202, b"{}")

    async def scenario() -> Tally:
        tally = Tally()
        async with server(busy_twice) as url, Door(url, 1) as door:
            await HttpPhone(door, door, tally).send(Batch(tuple(events(3))))
        return tally

    tally = asyncio.run(scenario())
    assert len(bodies) == 3 and len(set(bodies)) == 1
    assert (tally.sent, tally.accepted) == (3, 3)


def test_mischief_is_counted_and_seeded():
    rates = Rates(twice=0.5, hours_old=0.2, days_old=0.3, broken=1.0)
    first = [pack(events(20), NOON, rates, random.Random(each)) for each in range(20)]
    assert first == [pack(events(20), NOON, rates, random.Random(each)) for each in range(20)]
    day = 86_400_000
    for batch in first:
        old = sum(isinstance(each["event_time"], int) and NOON - each["event_time"] > day for each in batch.events)
        assert old == batch.late
        assert len(batch.events) == 21 and batch.broken == 1
    assert {batch.twice for batch in first} == {True, False}


def test_without_mischief_a_batch_is_what_it_was():
    assert pack(events(5), NOON, NONE, random.Random(1)) == Batch(tuple(events(5)))


def test_publishing_sends_every_event_once_in_big_batches():
    sizes = []

    def count(_: str, body: bytes) -> tuple[int, bytes]:
        sizes.append(len(json.loads(body)))
        return 202, b"{}"

    async def scenario() -> int:
        async with server(count) as url, Door(url, 3) as door:
            return await publish(door, events(2_500), 3)

    assert asyncio.run(scenario()) == 2_500 == sum(sizes)
    assert max(sizes) == 1_000


def test_a_refused_catalogue_is_an_error():
    async def scenario() -> None:
        async with server(lambda *_: (422, b'{"reason": "unknown_type"}')) as url, Door(url, 1) as door:
            await publish(door, events(3), 1)

    with pytest.raises(PublishFailed, match="refused 3 of 3"):
        asyncio.run(scenario())


def test_an_open_loop_keeps_its_schedule_and_counts_from_the_intended_time():
    async def scenario():
        make = taps(["u1", "u2"], ["v1"], random.Random(1))
        async with server(all_accepted) as url, Door(url, 4) as door:
            return await offer(door, rate=500, seconds=1, make=make, batch=10)

    outcome = asyncio.run(scenario())
    assert outcome.sent + outcome.missed == 500
    assert outcome.accepted == outcome.sent and outcome.failed == 0
    assert len(outcome.latency_ms) == outcome.sent // 10


def test_percentiles_are_nearest_rank():
    found = percentiles(float(each) for each in range(100, 0, -1))
    assert (found.p50, found.p90, found.p99, found.max, found.count) == (50, 90, 99, 100, 100)
    assert percentiles([]).count == 0
