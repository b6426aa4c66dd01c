"""Before a body is read: too many at once, too many from one address, and whose address it is."""

import asyncio

import pytest

from foryou.service.gate_settings import DEFAULTS, load
from foryou.service.guard import Guard, bucket_of
from foryou.service.http1 import Server
from foryou.service.metrics import Metrics
from foryou.service.problem import Problem
from foryou.service.testing import ask
from foryou.service.web import Router, UnderWay, json_response


def settings(tmp_path, text):
    path = tmp_path / "gate.toml"
    path.write_text(text, "utf-8")
    return load(path)


class Doorstep:
    """A router behind a guard whose clock stands still."""

    def __init__(self, said):
        self.metrics, self.now_s, self.bodies = Metrics(), 0.0, 0
        self.router = Router(self.metrics, guard=Guard(said, self.metrics, lambda: self.now_s))
        self.release = asyncio.Event()

        async def slow(request):
            self.bodies += 1
            await self.release.wait()
            return json_response(200, {})

        async def fast(request):
            self.bodies += 1
            return json_response(200, {})

        self.router.add("POST", "/slow", slow, max_body=100)
        self.router.add("POST", "/fast", fast, max_body=100)

    def statuses(self, clients, headers=None):
        async def all_of_them():
            return [await ask(self.router, "POST", "/fast", b"x", headers, client=client) for client in clients]

        return [answer.status for answer in asyncio.run(all_of_them())]


ONE_A_SECOND = "[address]\nper_s = 1\nburst = 2\n"


def test_an_address_that_asks_too_often_gets_a_429_and_others_go_on(tmp_path):
    door = Doorstep(settings(tmp_path, ONE_A_SECOND))
    assert door.statuses(["9.9.9.9:1", "9.9.9.9:2", "9.9.9.9:3", "8.8.8.8:1"]) == [200, 200, 429, 200]
    assert door.bodies == 3
    assert door.metrics.value("foryou_http_limited_total", by="address") == 1
    door.now_s += 1
    assert door.statuses(["9.9.9.9:4", "9.9.9.9:5"]) == [200, 429]


def test_the_429_says_when_to_come_again(tmp_path):
    door = Doorstep(settings(tmp_path, "[address]\nper_s = 0.1\nburst = 1\n"))

    async def twice():
        await ask(door.router, "POST", "/fast", b"x", client="9.9.9.9:1")
        return await ask(door.router, "POST", "/fast", b"x", client="9.9.9.9:1")

    answer = asyncio.run(twice())
    assert (answer.status, answer.headers["retry-after"], answer.json()["reason"]) == (429, "10", "rate_limited")
    assert answer.headers["content-type"] == "application/problem+json"


def test_this_machine_is_not_limited_and_the_operators_eyes_neither(tmp_path):
    door = Doorstep(settings(tmp_path, ONE_A_SECOND))
    assert door.statuses(["127.0.0.1:1"] * 9) == [200] * 9
    door.statuses(["9.9.9.9:1"] * 3)
    answer = asyncio.run(ask(door.router, "GET", "/healthz", client="9.9.9.9:1"))
    assert answer.status == 200


def test_a_household_of_ipv6_shares_a_bucket(tmp_path):
    door = Doorstep(settings(tmp_path, ONE_A_SECOND))
    assert door.statuses([f"[2001:db8::{host}]:1" for host in range(1, 4)]) == [200, 200, 429]
    assert door.statuses(["[2001:db8:0:1::1]:1"]) == [200]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("9.9.9.9:1", "1.1.1.1", "9.9.9.9"),  # nobody's word
        ("10.0.0.1:1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1:1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),  # what the client wrote itself stands on the left
        ("10.0.0.1:1", "6.6.6.6, 1.1.1.1, 10.0.0.7", "1.1.1.1"),
        ("10.0.0.1:1", "6.6.6.6, nonsense, 10.0.0.7", "10.0.0.7"),
        ("10.0.0.1:1", "", "10.0.0.1"),
        ("10.0.0.1:1", ", ".join(["10.0.0.2"] * 1_000), "10.0.0.2"),
        ("[::ffff:10.0.0.1]:1", "1.1.1.1", "1.1.1.1"),
    ],
)
def test_only_a_trusted_proxy_is_believed_about_an_address(tmp_path, peer, forwarded, address):
    guard = Guard(settings(tmp_path, '[address]\ntrusted_proxies = ["10.0.0.0/8"]\n'), Metrics())

    class Scope:
        client, headers = peer, {"x-forwarded-for": forwarded}

    assert guard.address_of(Scope()) == address


def test_more_requests_at_once_than_the_bound_get_a_503_before_their_body_is_read(tmp_path):
    async def crowd():
        door = Doorstep(settings(tmp_path, "[connections]\nin_flight = 3\n"))
        waiting = [asyncio.ensure_future(ask(door.router, "POST", "/slow", b"x")) for _ in range(3)]
        await asyncio.sleep(0)
        excess = await ask(door.router, "POST", "/slow", b"x")
        healthy = await ask(door.router, "GET", "/healthz")
        door.release.set()
        served = [answer.status for answer in await asyncio.gather(*waiting)]
        after = await ask(door.router, "POST", "/slow", b"x")
        return door, excess, healthy.status, served, after.status

    door, excess, healthy, served, after = asyncio.run(crowd())
    assert (excess.status, excess.headers["retry-after"], excess.json()["reason"]) == (503, "1", "unavailable")
    assert (healthy, served, after, door.bodies) == (200, [200] * 3, 200, 4)
    assert door.metrics.value("foryou_http_overloaded_total") == 1


def test_a_refused_post_keeps_its_connection_if_its_body_is_here(tmp_path):
    router = Router(Metrics(), guard=Guard(settings(tmp_path, "[connections]\nin_flight = 1\n"), Metrics()))
    release = asyncio.Event()

    async def slow(request):
        await release.wait()
        return json_response(200, {})

    router.add("POST", "/slow", slow, max_body=1 << 20)

    async def crowd():
        server = Server(router, connections=10, idle_s=5)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        first, second = [await asyncio.open_connection(*listening.sockets[0].getsockname()[:2]) for _ in range(2)]
        head = b"POST /slow HTTP/1.1\r\ncontent-length: 20000\r\n\r\n"
        first[1].write(head + b"x" * 20_000)
        heard = []
        for body in (b"x" * 20_000, b""):  # all of it with its head; nothing of it
            second[1].write(head + body)
            heard.append(await second[0].readuntil(b"}"))
        release.set()
        heard.append(await first[0].readuntil(b"}"))
        listening.close()
        server.stop()
        await server.drained(1.0)
        return heard

    here, to_come, served = asyncio.run(crowd())
    assert here.startswith(b"HTTP/1.1 503 ") and b"connection: close" not in here
    assert to_come.startswith(b"HTTP/1.1 503 ") and b"connection: close" in to_come
    assert served.startswith(b"HTTP/1.1 200 ")


class Post:
    """What a guard sees of a post of so many bytes."""

    client, path = "127.0.0.1:1", "/x"

    def __init__(self, size):
        self.headers = {} if size is None else {"content-length": str(size)}


def test_big_bodies_are_few_at_once_and_one_alone_may_be_of_any_size(tmp_path):
    guard = Guard(settings(tmp_path, "[connections]\nin_flight_kb = 4\n"), Metrics())
    guard.admit(Post(1 << 20), UnderWay(1, 0))
    guard.admit(Post(1 << 10), UnderWay(9, 3 << 10))
    guard.admit(Post(None), UnderWay(9, 5 << 10))
    with pytest.raises(Problem) as refused:
        guard.admit(Post(1), UnderWay(2, 4 << 10))
    assert (refused.value.status, refused.value.reason) == (503, "unavailable")


def test_a_body_counts_when_it_has_come_and_until_the_answer(tmp_path):
    seen = []

    class Looks:
        def admit(self, scope, under_way):
            seen.append((under_way.requests, under_way.body_bytes))

    async def posts():
        router = Router(Metrics(), guard=Looks(), body_timeout_s=0.05)
        release = asyncio.Event()

        async def slow(request):
            await release.wait()
            return json_response(200, {})

        router.add("POST", "/slow", slow, max_body=100)
        first = asyncio.ensure_future(ask(router, "POST", "/slow", b"x" * 30))
        await asyncio.sleep(0)
        never = asyncio.ensure_future(ask(router, "POST", "/slow", [b"x", b"y"], pause_s=1.0))
        await asyncio.sleep(0)
        another = asyncio.ensure_future(ask(router, "POST", "/slow", b"z"))
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(first, another)
        assert (await never).status == 408
        await ask(router, "POST", "/slow", b"")

    asyncio.run(posts())
    assert seen == [(1, 0), (2, 30), (3, 30), (1, 0)]


@pytest.mark.parametrize("text", ["x", "", "a:b", "999.1.1.1:1", "[::1%eth0]:5", "unix:"])
def test_an_address_that_is_none_is_still_somebody(text):
    class Scope:
        client, headers, path = text, {}, "/x"

    guard = Guard(load(), Metrics())
    guard.admit(Scope(), UnderWay(1))
    assert isinstance(bucket_of(guard.address_of(Scope())), str)


def test_what_a_home_says_overrides_the_defaults_and_leaves_the_rest(tmp_path):
    said = settings(tmp_path, "[device]\nper_s = 7\n")
    assert (said.device.per_s, said.device.burst, said.key) == (7, load().device.burst, load().key)
    assert load(tmp_path / "nothing.toml") == load(DEFAULTS) == load()


@pytest.mark.parametrize(
    "text",
    [
        "[device]\nper_second = 7\n",
        "[devices]\n",
        "[device]\nper_s = 0\n",
        "[device]\nburst = 0\n",
        '[address]\nexempt = ["all"]\n',
        "[device",
        "key = 1\n",
    ],
)
def test_a_setting_that_is_none_is_refused_and_named(tmp_path, text):
    with pytest.raises(ValueError, match=r"gate\.toml"):
        settings(tmp_path, text)
