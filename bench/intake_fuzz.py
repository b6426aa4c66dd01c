"""Hostile bodies at every door of the collector, in process: `python -m bench.intake_fuzz --bodies 1000000 --seed 1`.

Each body begins as a valid one of some protocol and is then spoiled: bits flipped, cut, spliced with another, nested,
its numbers made huge, its UTF-8 broken, packed, packed and spoiled again, or blown up to a bomb. It fails when any
answer is a 5xx, when received is not accepted + rejected, or when memory grows.
"""

import argparse
import asyncio
import base64
import gc
import gzip
import json
import logging
import random
import resource
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
import psutil
from backports import zstd

from foryou.collector.admission import Admission
from foryou.collector.door import Door
from foryou.collector.doors import add_doors
from foryou.collector.letters import Letters
from foryou.collector.log.event_log import LogRecord, decode, encode
from foryou.contract.codec import Encoder
from foryou.contract.events import Lane
from foryou.contract.gate import Gate
from foryou.contract.identity import Identity
from foryou.contract.schemas import schema
from foryou.contract.seal import Seal
from foryou.contract.secret_ring import new_ring
from foryou.contract.topics import FLAGGED, REJECTED, TOPICS
from foryou.service.gate_settings import Memory, load
from foryou.service.metrics import Metrics
from foryou.service.testing import Answer, ask, known_keys
from foryou.service.web import Router

KEY = "fy_fuzz"
NOW = 1_790_000_000_000
WARM = 0.3  # of the run: caches and allocator pools fill; the slope is measured after it
REMEMBERED = 1_024  # devices, people, ids: full before the slope is measured; what only fills is no leak
MAX_SLOPE_MB = 16.0  # of growth per million bodies: the noise of an allocator, not a leak
_TOPICS = [*(lane.value for lane in Lane), FLAGGED, REJECTED]


@dataclass(frozen=True)
class Sample:
    """A request: where it goes, what type it says, its body."""

    target: str
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Nowhere:
    """A log that keeps nothing. It encodes every record, as the forwarder would: what was accepted must fit."""

    def __init__(self) -> None:
        self.records = 0
        self._encoders = {name: Encoder(schema(TOPICS[name].schema), at) for at, name in enumerate(_TOPICS, 1)}

    def waiting_for(self) -> list[str]:
        """It lacks nothing."""
        return []

    def detail(self) -> Mapping[str, Any]:
        """Nothing to tell."""
        return {}

    async def append(self, records: Sequence[LogRecord]) -> None:
        """Counts what it has encoded."""
        for record in decode(encode(records)):
            self._encoders[record.topic](record.record)
        self.records += len(records)

    def close(self) -> None:
        """Nothing to end."""


def samples() -> list[Sample]:
    """A valid request of every door."""
    like = {"event_type": "like", "event_time": NOW, "user_id": "u1", "video_id": "v1", "properties": {"a": "b"}}
    end = {"event_type": "view_end", "event_time": "2026-09-21T14:13:20Z", "device_id": "d", "video_id": "v1"}
    end |= {"watch_ms": 1500, "context": {"os": "ios"}, "consent": {"ads": True}}  # type: ignore[dict-item]
    cloud = {"specversion": "1.0", "id": "1", "source": "s", "type": "like", "subject": "v1", "data": {"user_id": "u"}}
    track = {"type": "track", "event": "Video Content Playing", "userId": "u1", "messageId": "m"}
    track |= {"properties": {"asset_id": "v", "session_id": "s", "position": 3.5}, "context": {"os": {"name": "x"}}}  # type: ignore[dict-item]
    identify = {"type": "identify", "userId": "u1", "traits": {"country": "FR", "birthday": "1990-01-01"}}
    hog = {"event": "like", "distinct_id": "u", "uuid": "0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f"}
    hog |= {"properties": {"video_id": "v1", "$os": "ios"}}  # type: ignore[dict-item]
    video = {"video_id": "v", "creator_id": "c", "duration_ms": 9, "category": "x"}
    media = {"schema": "x", "data": {"schema": "iglu:m/end_event/jsonschema/1-0-0", "data": {"video_id": "v"}}}
    packed = base64.urlsafe_b64encode(json.dumps(media).encode()).decode()
    snow = {"e": "ue", "eid": "e", "dtm": str(NOW), "uid": "u", "aid": KEY, "ue_px": packed, "cx": packed}
    binary = tuple((f"ce-{name}", str(value)) for name, value in cloud.items() if name != "data")
    as_json, text = "application/json", "text/plain"
    return [
        Sample("POST /v1/events", as_json, _json(like)),
        Sample("POST /v1/events", as_json, _json([like, end, like])),
        Sample("POST /v1/events", "application/x-ndjson", _json(like) + b"\n" + _json(end)),
        Sample("POST /v1/events", "application/cloudevents+json", _json(cloud)),
        Sample("POST /v1/events", "application/cloudevents-batch+json", _json([cloud, cloud])),
        Sample("POST /v1/events", as_json, _json({"user_id": "u"}), binary),
        Sample("POST /v1/batch", as_json, _json({"batch": [track, identify], "writeKey": KEY, "sentAt": NOW})),
        *(Sample(f"POST /v1/{call}", text, _json(track | {"writeKey": KEY})) for call in ("track", "page", "alias")),
        Sample("POST /batch/", as_json, _json({"api_key": KEY, "batch": [hog, hog]})),
        Sample("POST /e/", "application/x-www-form-urlencoded", b"data=" + base64.b64encode(_json(hog))),
        Sample("POST /com.snowplowanalytics.snowplow/tp2", as_json, _json({"schema": "p", "data": [snow, snow]})),
        Sample("POST /v1/videos", as_json, _json(video)),
        Sample("PUT /v1/users/u1", as_json, _json({"region": "FR", "consent": {"ads": True}})),
        Sample("GET /i", "", "&".join(f"{name}={quote(value)}" for name, value in snow.items()).encode()),
    ]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


Spoil = Callable[[random.Random, bytes, bytes], bytes]
_ODD = (
    b"\xff",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\x00",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"-0",
    b"1e999",
)
_HUGE = (b"9" * 400, b"1e308", b"-9223372036854775809", b"0.1e-400", b"18446744073709551616", b"1" * 5_000)


def _flip(chance: random.Random, body: bytes, _: bytes) -> bytes:
    spoiled = bytearray(body)
    for _turn in range(chance.randint(1, 8)):
        if spoiled:
            spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
    return bytes(spoiled)


def _cut(chance: random.Random, body: bytes, _: bytes) -> bytes:
    start = chance.randrange(len(body) + 1) if chance.random() < 0.2 else 0
    return body[start : chance.randrange(start, len(body) + 1)]


def _splice(chance: random.Random, body: bytes, other: bytes) -> bytes:
    a, b = chance.randrange(len(body) + 1), chance.randrange(len(other) + 1)
    return body[:a] + other[b:] if chance.random() < 0.5 else body[:a] + other + body[a:]


def _insert(chance: random.Random, body: bytes, _: bytes) -> bytes:
    at = chance.randrange(len(body) + 1)
    return body[:at] + chance.choice(_ODD) * chance.choice((1, 1, 2, 40)) + body[at:]


def _nest(chance: random.Random, body: bytes, _: bytes) -> bytes:
    depth = chance.choice((3, 15, 17, 200, 2_000))
    begin, end = chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")))
    at = body.find(b":") + 1 if chance.random() < 0.7 else 0
    return body[:at] + begin * depth + b"1" + end * depth + body[at:]


def _enlarge(chance: random.Random, body: bytes, _: bytes) -> bytes:
    places = [at for at, byte in enumerate(body) if byte in b"0123456789"]
    if not places:
        return body
    at = chance.choice(places)
    return body[:at] + chance.choice(_HUGE) + body[at + 1 :]


def _retype(chance: random.Random, body: bytes, _: bytes) -> bytes:
    at = body.find(b":", chance.randrange(len(body) + 1))
    end = min((found for mark in (b",", b"}") if (found := body.find(mark, at)) > at), default=-1)
    odd = chance.choice((b"null", b"[]", b"{}", b"true", b'""', b"-1", b"1.5", b'{"a":[1]}', b'"' + b"x" * 300 + b'"'))
    return body if at < 0 or end < 0 else body[: at + 1] + odd + body[end:]


def _swap(chance: random.Random, body: bytes, _: bytes) -> bytes:
    """One value anywhere in it becomes another kind of value: what only a careless mapping trips over."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return body
    places: list[tuple[dict[str, object] | list[object], str | int]] = []
    waiting = [whole]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict | list):
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            places += [(inner, key) for key in keys]
            waiting += [inner[key] for key in keys]
    if places:
        inside, key = chance.choice(places)
        inside[key] = chance.choice(_OTHERS)  # type: ignore[index]
    return json.dumps(whole).encode()


def _double(chance: random.Random, body: bytes, _: bytes) -> bytes:
    return body.replace(b",", b"," + body[1:-1] + b",", 1) if chance.random() < 0.5 else body + body


_OTHERS: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**18,
    "",
    "x",
    "x" * 300,
    [],
    [[]],
    [1, {}],
    {},
    {"a": {}},
    {"a": [None]},
)
_KINDS = ("text/plain", "x", "a/b; charset=utf-16", "application/x-ndjson", "application/cloudevents+json")
SPOILS: tuple[Spoil, ...] = (_flip, _cut, _splice, _insert, _nest, _enlarge, _retype, _double, _swap, _swap)
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 1, mtime=0),
    "zstd": lambda body: zstd.compress(body, 1),
    "deflate": lambda body: zlib.compress(body, 1),
}


def bodies(seed: int) -> Iterator[Sample]:
    """Hostile requests without end, the same for the same seed."""
    chance, valid = random.Random(seed), samples()
    bombs = {name: pack(b"[" + b" " * (5 << 20)) for name, pack in _PACK.items()}
    while True:
        sample, body = chance.choice(valid), b""
        body = sample.body
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            body = chance.choice(SPOILS)(chance, body, chance.choice(valid).body)[: 64 << 10]
        headers = list(sample.headers)
        if sample.target != "GET /i" and chance.random() < 0.12:
            name = chance.choice(sorted(_PACK))
            body = _PACK[name](body) if chance.random() < 0.98 else bombs[name]
            if chance.random() < 0.4:
                body = chance.choice((_flip, _cut, _splice))(chance, body, body)
            headers.append(("content-encoding", chance.choice((name, name, name, "identity", "gzip", "br"))))
        kind = sample.content_type if chance.random() < 0.9 else chance.choice(_KINDS)
        if chance.random() < 0.8:
            headers.append(("authorization", f"Bearer {KEY}"))
        yield Sample(sample.target, kind, body, tuple(headers))


class Target:
    """A collector in process, whose clock stands and whose log keeps nothing."""

    def __init__(self) -> None:
        self.metrics, self.log = Metrics(), Nowhere()
        gate, ring = Gate(Identity(b"f" * 32)), new_ring()
        letters = Letters(Seal(lambda: ring, "dead letter"))
        admission = Admission(msgspec.structs.replace(load(), memory=Memory(REMEMBERED)))
        door = Door(known_keys({KEY: "fuzz"}), gate, self.log, self.metrics, letters, admission, clock_ms=lambda: NOW)
        self.router = Router(self.metrics, self.log.waiting_for)
        add_doors(self.router, door)

    async def send(self, sample: Sample) -> Answer:
        """One request and its answer."""
        method, _, path = sample.target.partition(" ")
        headers = {"content-type": sample.content_type, **dict(sample.headers)}
        if method == "GET":
            query = "".join(chr(byte) if 32 < byte < 127 and byte != 35 else f"%{byte:02x}" for byte in sample.body)
            return await ask(self.router, method, f"{path}?{query}", headers=headers)
        return await ask(self.router, method, path, sample.body, headers)

    def counted(self, what: str) -> float:
        """Events by verdict, all lanes."""
        lanes = [*(lane.value for lane in Lane), FLAGGED, "unknown"]
        return sum(self.metrics.value(f"foryou_collector_{what}_total", lane=lane) or 0.0 for lane in lanes)


@dataclass(frozen=True)
class Outcome:
    """What a run found."""

    statuses: Counter[int]
    failures: list[str]
    slope_mb: float
    seconds: float


async def run(number: int, seed: int) -> Outcome:
    """Sends `number` hostile bodies. Memory is looked at a hundred times at most; its slope is per million bodies."""
    target, statuses, failures = Target(), Counter[int](), list[str]()
    process, marks = psutil.Process(), list[tuple[int, float]]()
    every, began = max(500, number // 100), time.monotonic()
    for at, sample in enumerate(bodies(seed)):
        if at % every == 0:
            gc.collect()
            marks.append((at, process.memory_info().rss / 1e6))
        if at == number:
            break
        answer = await target.send(sample)
        await asyncio.sleep(0)  # the loop's turn, which a socket would give it: it drops the timers of what is answered
        statuses[answer.status] += 1
        if len(failures) < 20 and (why := wrong(answer)):
            failures.append(f"{why} at body {at} of seed {seed}: {sample.target} {sample.body[:300]!r}")
    settled = sum(target.counted(what) for what in ("accepted", "rejected", "limited"))
    if (received := target.counted("received")) != settled:
        failures.append(f"received {received} is not accepted + rejected + limited {settled}")
    return Outcome(statuses, failures, slope(marks), time.monotonic() - began)


def wrong(answer: Answer) -> str | None:
    """What is wrong with an answer, whatever the body was."""
    if answer.status >= 500:
        return f"a {answer.status}"
    told = b'"field":' in answer.body and b'"remedy":' in answer.body
    return f"{answer.status} without field or remedy" if answer.status >= 400 and not told else None


def slope(marks: Sequence[tuple[int, float]]) -> float:
    """Least squares through what was measured after the warm part: MB per million bodies."""
    warm = [(at / 1e6, mb) for at, mb in marks if at >= WARM * marks[-1][0]]
    if len(warm) < 3:
        return 0.0
    x0, y0 = (sum(values) / len(warm) for values in zip(*warm, strict=True))
    return float(sum((x - x0) * (y - y0) for x, y in warm) / sum((x - x0) ** 2 for x, _ in warm))


def main() -> int:
    """Runs, prints, returns 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--bodies", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    said = parser.parse_args()
    logging.disable(logging.CRITICAL)
    outcome = asyncio.run(run(said.bodies, said.seed))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{said.bodies:,} bodies of seed {said.seed} in {outcome.seconds:.0f} s")
    print("answers: " + ", ".join(f"{status}: {count:,}" for status, count in sorted(outcome.statuses.items())))
    grown = f"slope {outcome.slope_mb:+.1f} MB per million bodies (bound {MAX_SLOPE_MB:.0f})"
    print(f"memory: peak {peak_mb:.0f} MB, {grown}")
    for failure in outcome.failures:
        print("FAILED", failure)
    return 1 if outcome.failures or outcome.slope_mb > MAX_SLOPE_MB else 0


if __name__ == "__main__":
    raise SystemExit(main())
