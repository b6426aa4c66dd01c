"""How a process listens: its address and its TLS address, how many connections it holds, and how it ends."""

import asyncio
import ipaddress
import logging
import resource
import signal
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from foryou.service import garbage
from foryou.service.http1 import Server
from foryou.service.web import Router

log = logging.getLogger(__name__)

BACKLOG = 1024
HANDSHAKE_S = 5.0  # until then a TLS connection is not counted
STOP_S = 2.5  # what is under way may take so long; the whole stop takes less than 5 s


@dataclass(frozen=True)
class Tls:
    """A second address, on which the same door is served over TLS 1.3."""

    host: str
    port: int
    cert: Path
    key: Path


@dataclass(frozen=True)
class Listening:
    """Bounds on a door's connections, and its TLS address if it has one."""

    connections: int = 16_384
    idle_s: float = 60.0
    tls: Tls | None = None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _room_for(connections: int) -> int:
    """So many connections, or as many as the system gives files for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 1_024  # our own files beside them
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft != resource.RLIM_INFINITY and soft < wanted:
        connections = max(64, soft - 1_024)
        log.warning("fewer connections than settings say: raise the limit of open files", extra={"open": connections})
    return connections


def serve(
    app: Router,
    host: str,
    port: int,
    *,
    start: Callable[[asyncio.AbstractEventLoop], None] = lambda _: None,
    stop: Callable[[], None] = lambda: None,
    listening: Listening | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT. `start` runs in the loop before the first request, `stop` after the last one."""
    garbage.quieten()
    uvloop.run(_serve(app, host, port, start, stop, listening or Listening()))


async def _serve(
    app: Router,
    host: str,
    port: int,
    start: Callable[[asyncio.AbstractEventLoop], None],
    stop: Callable[[], None],
    listening: Listening,
) -> None:
    loop = asyncio.get_running_loop()
    server = Server(app, connections=_room_for(listening.connections), idle_s=listening.idle_s)
    sockets = [await loop.create_server(server, host, port, backlog=BACKLOG)]
    log.info("listening", extra={"address": f"http://{host}:{port}"})
    if not is_loopback(host):
        log.warning("listening in plaintext off loopback, as FORYOU_PLAINTEXT says", extra={"address": host})
    if (tls := listening.tls) is not None:
        sockets.append(
            await loop.create_server(
                server, tls.host, tls.port, backlog=BACKLOG, ssl=_context(tls), ssl_handshake_timeout=HANDSHAKE_S
            )
        )
        log.info("listening", extra={"address": f"https://{tls.host}:{tls.port}"})
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    start(loop)
    await stopping.wait()
    for each in sockets:
        each.close()
    server.stop()
    await server.drained(STOP_S)
    stop()
    log.info("stopped")


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(tls.cert, tls.key)
    return context
