"""Before a body is read: how many requests are under way, and how many came from this address."""

import ipaddress
import time
from collections.abc import Callable
from functools import lru_cache

from foryou.service.buckets import Buckets
from foryou.service.gate_settings import GateSettings
from foryou.service.metrics import Metrics
from foryou.service.problem import limited, unavailable
from foryou.service.web import Headers, Scope, UnderWay

UNGUARDED = frozenset(("/healthz", "/metrics"))  # the operator's own eyes stay open under load
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
HOPS = 16  # of an X-Forwarded-For are looked at


class Guard:
    """Lets a request in, or raises a 503 or 429 Problem."""

    def __init__(self, settings: GateSettings, metrics: Metrics, clock_s: Callable[[], float] = time.monotonic) -> None:
        rate = settings.address
        self._buckets = Buckets(rate.per_s, rate.burst, settings.memory.entries)
        self._exempt, self._trusted = _networks(rate.exempt), _networks(rate.trusted_proxies)
        bounds = settings.connections
        self._most, self._clock_s = UnderWay(bounds.in_flight, bounds.in_flight_kb << 10), clock_s
        self._is_exempt = lru_cache(4_096)(lambda address: _within(address, self._exempt))
        self._is_trusted = lru_cache(4_096)(lambda address: _within(address, self._trusted))
        self._overloaded = metrics.counter("foryou_http_overloaded_total")
        self._limited = metrics.counter("foryou_http_limited_total", by="address")

    def admit(self, scope: Scope, under_way: UnderWay) -> None:
        """Raises a Problem when there is no room for this request, which `under_way` counts.

        The bytes of bodies are bounded beside requests: a post of 500 events takes as long as hundreds of one, and
        whoever comes behind it waits for it. One that is alone may be of any size; one without a body always passes.
        """
        if scope.path in UNGUARDED:
            return
        if under_way.requests > self._most.requests:
            self._overloaded.inc()
            raise unavailable("more requests are under way than this process takes")
        held = under_way.body_bytes
        if held and (said := _said(scope.headers)) and held + said > self._most.body_bytes:
            self._overloaded.inc()
            raise unavailable("the bodies under way are more than this process takes at once")
        address = self.address_of(scope)
        if self._is_exempt(address):
            return
        wait_s = self._buckets.take(bucket_of(address), 1, self._clock_s())
        if wait_s:
            self._limited.inc()
            raise limited("this address asks too often", wait_s)

    def address_of(self, scope: Scope) -> str:
        """Who asks: the peer, or whom the trusted proxies name. What an untrusted peer forwards is not read."""
        address = _host(scope.client)
        if not self._trusted or not self._is_trusted(address):
            return address
        forwarded: str = scope.headers.get("x-forwarded-for") or ""
        for hop in reversed(forwarded.rsplit(",", HOPS)[-HOPS:]):
            hop = hop.strip()
            if not _is_address(hop):
                return address  # a proxy that writes no addresses: the last one that is known counts
            address = hop
            if not self._is_trusted(hop):
                return address
        return address


def _said(headers: Headers) -> int:
    """The bytes that a head says of its body; of one in chunks nobody knows, and it counts when it is here."""
    declared = headers.get("content-length") or "0"
    return int(declared) if declared.isdecimal() and len(declared) < 10 else 0


def bucket_of(address: str) -> str:
    """What shares a bucket: an IPv4 address, or the 64 bits that an IPv6 network gives to one household."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


def _host(client: str) -> str:
    """`1.2.3.4` of `1.2.3.4:567`, `::1` of `[::1]:567`."""
    host, _, _ = client.rpartition(":")
    return host.strip("[]") or client


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _networks(texts: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _within(address: str, networks: tuple[_Network, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in networks)
