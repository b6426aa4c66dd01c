"""The server on a real socket: order, bounds, and every way in which a request may come."""

import asyncio
import gc
import json
import time
import weakref
from urllib.parse import unquote

import pytest

from foryou.service import http1
from foryou.service.http1 import Disconnected, Server


async def app(scope, exchange):
    """Answers with what it saw; by path it waits, refuses unread, or fails."""
    if scope.path == "/unread":
        exchange.response_bytes(503, [("connection", "close")], b"no")
        return
    if scope.path == "/big":
        exchange.response_bytes(200, [], b"x" * 100_000)
        return
    if scope.path == "/header":
        exchange.response_bytes(200, [("x-a", unquote(scope.query_string))], b"told")
        return
    if scope.path == "/dies":
        raise ValueError("in the app")
    if scope.path == "/slow":
        await asyncio.sleep(0.05)
    try:
        body = await exchange()
    except Disconnected:
        exchange.response_bytes(400, [], b"")
        return
    told = f"{scope.method} {scope.path} {scope.query_string} {scope.headers.get('x-a')} {len(body)}".encode()
    exchange.response_bytes(200, [("x-b", "c")], told)


def talk(*pieces, serving=app, connections=10, idle_s=5.0, pause_s=0.01, until=b"", half_close=False):
    """Sends pieces over one connection and returns all that came until it was closed, or `until` was seen."""

    async def run():
        server = Server(serving, connections=connections, idle_s=idle_s)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if half_close:
            writer.write_eof()
        heard = b""
        async with asyncio.timeout(10):
            while not until or until not in heard:
                some = await reader.read(1 << 16)
                if not some:
                    break
                heard += some
        writer.close()
        listening.close()
        server.stop()
        await server.drained(1.0)
        return heard

    return asyncio.run(run())


def test_a_request_in_any_pieces_gets_the_same_answer():
    request = b"POST /a%20b?c=d HTTP/1.1\r\nhost: x\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 5\r\n\r\nhello"
    for size in (len(request), 1, 7):
        pieces = [request[at : at + size] for at in range(0, len(request), size)]
        heard = talk(*pieces, pause_s=0.001, until=b"5")
        assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nx-b: c\r\ncontent-length: 20\r\n\r\nPOST /a b c=d 1, 2 5" in heard


def test_requests_sent_ahead_are_answered_in_their_order():
    heard = talk(b"GET /slow HTTP/1.1\r\n\r\n" + b"GET /2 HTTP/1.1\r\n\r\n" * 50, until=b"GET /2  None 0")
    assert heard.index(b"GET /slow") < heard.index(b"GET /2")
    assert talk(b"GET /2 HTTP/1.1\r\n\r\n" * 50 + b"GET /end HTTP/1.1\r\n\r\n", until=b"/end").count(b"200 OK") == 51


def test_what_is_answered_at_once_waits_for_nobody_and_keeps_its_order():
    begun = []

    def some(scope, exchange):
        begun.append(scope.path)
        if scope.path == "/refused":
            exchange.response_bytes(503, [], b"no")
            return None
        return app(scope, exchange)

    ahead = b"GET /refused HTTP/1.1\r\n\r\n" * 3_000  # one after another, not one within another
    heard = talk(b"GET /1 HTTP/1.1\r\n\r\n" + ahead + b"GET /2 HTTP/1.1\r\n\r\n", serving=some, until=b"GET /2")
    assert heard.count(b"HTTP/1.1 503 ") == 3_000
    assert heard.index(b"GET /1") < heard.index(b"503") and heard.rindex(b"503") < heard.index(b"GET /2")

    async def one():
        server, told = (
            Server(lambda scope, exchange: exchange.response_bytes(503, [], b"no"), connections=1, idle_s=5),
            [],
        )

        class Socket(asyncio.Transport):
            write, is_closing = staticmethod(told.append), staticmethod(lambda: False)

        connection = server()
        connection.connection_made(Socket())
        connection.data_received(b"GET /refused HTTP/1.1\r\n\r\n")
        return told  # before the loop went on

    assert asyncio.run(one())[0].startswith(b"HTTP/1.1 503 ")


def test_one_connection_too_many_is_told_when_to_come_again():
    told = []

    class Socket(asyncio.Transport):
        write, close = staticmethod(told.append), staticmethod(lambda: None)
        is_closing = can_write_eof = staticmethod(lambda: False)

    async def two():
        server = Server(lambda scope, exchange: None, connections=1, idle_s=5)
        for _ in range(2):
            server().connection_made(Socket())

    asyncio.run(two())
    (heard,) = told
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1\r\n" in head
    assert json.loads(body)["reason"] == "unavailable"


def test_a_chunked_body_with_extensions_and_trailers_is_read():
    body = b"5;ext=1\r\nhello\r\n3\r\nabc\r\n0\r\nx-a: trailer\r\n\r\n"
    heard = talk(b"POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + body, until=b"8")
    assert b"POST /c  None 8" in heard


def test_who_asks_before_a_body_is_told_to_go_on():
    heard = talk(b"POST /e HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n", b"ok", until=b" 2")
    assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"GET /" + b"a" * 200_000, 431),
        (b"GET / HTTP/1.1\r\nx-a: " + b"a" * 200_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"x-y: z\r\n" * 30_000, 431),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"a" * 200_000, None),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-a: " + b"a" * 200_000, None),
    ],
)
def test_what_is_no_request_or_too_much_ends_the_connection(monkeypatch, said, status):
    monkeypatch.setattr(http1, "LINGER_S", 0.1)
    heard = talk(*(said[at : at + 20_000] for at in range(0, len(said), 20_000)), pause_s=0, idle_s=0.5)
    assert heard.startswith(b"HTTP/1.1 %d " % (status or 400))
    assert b"connection: close" in heard
    if status is None:
        return  # the request began: its own answer
    head, _, body = heard.partition(b"\r\n\r\n")
    told = json.loads(body)
    assert told["reason"] == ("head_too_large" if status == 431 else "bad_http") and told["remedy"]
    assert f"x-request-id: {told['request_id']}".encode() in head


def test_a_refusal_is_heard_though_the_body_was_not_read():
    body = b"x" * 3_000_000
    heard = talk(b"POST /unread HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body), body)
    assert heard.startswith(b"HTTP/1.1 503 ") and heard.endswith(b"no")


def test_a_body_that_nobody_takes_is_not_read_on():
    held = []

    async def never(_scope, exchange):
        await asyncio.sleep(0.3)
        held.append(exchange._size)
        exchange.response_bytes(200, [("connection", "close")], b"")

    talk(b"POST / HTTP/1.1\r\ncontent-length: 20000000\r\n\r\n", b"x" * 2_000_000, serving=never, pause_s=0)
    assert 0 < held[0] < http1.HIGH_WATER_BYTES + (1 << 20)


def test_a_client_that_says_all_and_closes_its_half_gets_its_answer():
    heard = talk(b"GET /slow HTTP/1.1\r\n\r\n", half_close=True)
    assert heard.startswith(b"HTTP/1.1 200 OK") and b"connection: close" in heard


def test_an_old_client_is_answered_and_left():
    heard = talk(b"GET /old HTTP/1.0\r\n\r\n")
    assert b"GET /old" in heard and b"connection: close" in heard


def test_head_has_no_body_and_an_upgrade_is_answered_as_it_is():
    assert talk(b"HEAD / HTTP/1.1\r\nconnection: close\r\n\r\n").endswith(b"\r\n\r\n")
    heard = talk(b"GET /up HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 200 OK") and b"connection: close" in heard


def test_one_connection_too_many_is_told_so():
    heard = talk(b"", connections=0)
    assert heard.startswith(b"HTTP/1.1 503 ")


def test_silence_ends_a_connection_wherever_it_falls():
    for said in (b"", b"GET / HT", b"GET / HTTP/1.1\r\n\r\n"):
        began = time.monotonic()
        talk(said, idle_s=0.2)
        assert time.monotonic() - began < 3


def test_answers_that_nobody_reads_are_not_made():
    async def run():
        server = Server(app, connections=10, idle_s=60)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        _reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2], limit=1 << 10)
        writer.transport.pause_reading()
        writer.write(b"GET /big HTTP/1.1\r\n\r\n" * 8_000)
        await asyncio.sleep(0.5)
        (connection,) = server._open
        held = connection._transport.get_write_buffer_size()
        writer.close()
        listening.close()
        await server.drained(0)
        return held

    assert asyncio.run(run()) < 1 << 20


def test_a_slow_reader_gets_all_of_a_long_answer():
    async def long(_scope, exchange):
        exchange.response_bytes(200, [("connection", "close")], b"x" * 8_000_000)

    async def run():
        server = Server(long, connections=10, idle_s=0.4)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2], limit=1 << 14)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        heard = 0
        while some := await reader.read(1 << 18):
            heard += len(some)
            await asyncio.sleep(0.03)
        writer.close()
        listening.close()
        return heard

    assert asyncio.run(run()) > 8_000_000


@pytest.mark.parametrize("value", [b"1%0d%0aset-cookie:%20a=b", b"%e6%bc%a2", b"%00"])
def test_no_value_of_a_header_begins_another_one_or_ends_the_connection_untold(value):
    heard = talk(b"GET /header?" + value + b" HTTP/1.1\r\n\r\n", until=b"told")
    assert heard.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nset-cookie" not in heard


def test_an_app_that_dies_leaves_no_connection_behind():
    assert talk(b"GET /dies HTTP/1.1\r\n\r\n", idle_s=60) == b""


@pytest.mark.parametrize(
    "body", [b"content-length: 5\r\n\r\nhello", b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
def test_the_body_of_a_request_that_would_upgrade_is_read(body):
    request = b"POST /up HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n" + body
    for pieces in ([request], [request[:-3], request[-3:]], [request[: -len(body)], body]):
        assert b"POST /up  None 5" in talk(*pieces)


def test_a_head_of_very_many_lines_is_refused_at_once():
    heard = talk(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 10_000 + b"\r\n")
    assert heard.startswith(b"HTTP/1.1 431 ")


def test_after_an_answer_before_go_on_nothing_is_taken_for_the_body():
    async def early(_scope, exchange):
        exchange.response_bytes(404, [], b"no")

    heard = talk(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 60\r\n\r\n", serving=early)
    assert heard.startswith(b"HTTP/1.1 404 ") and b"connection: close" in heard


def test_a_whole_request_before_garbage_is_answered_and_no_request_twice():
    heard = talk(b"POST /first HTTP/1.1\r\ncontent-length: 2\r\n\r\nok\x00\x00nonsense\r\n\r\n")
    assert b"POST /first  None 2" in heard and heard.count(b"HTTP/1.1 ") == 1
    early = talk(b"POST /unread HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", b"zz\r\n", pause_s=0.05)
    assert early.count(b"HTTP/1.1 ") == 1


def test_a_connection_that_ended_is_gone_without_the_garbage_collector():
    async def run():
        server = Server(app, connections=10, idle_s=5)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
        await asyncio.sleep(0.05)
        seen = weakref.ref(next(iter(server._open)))
        writer.close()
        await asyncio.sleep(0.05)
        listening.close()
        return seen()

    gc.disable()
    try:
        assert asyncio.run(run()) is None
    finally:
        gc.enable()
