"""One tap, followed: `foryou trace` shows every hop of an event within seconds."""

import json
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from foryou.cli.trace import trace
from foryou.features.definitions import VIEWS

from .test_feed import App


@pytest.fixture(scope="module")
def app(stack: Any) -> App:
    app = App(stack.settings)
    app.publish(range(20))
    return app


def test_a_like_is_seen_at_every_hop_up_to_the_next_page(app: App) -> None:
    who, video = f"{app.tag}-tracy", app.video(3)
    until_known = [app.video(i) for i in range(20)]
    while not app.blended(until_known):
        pass
    answer = app.collector.post(
        "/v1/events",
        content=json.dumps(
            {"event_type": "like", "user_id": who, "video_id": video, "event_time": time.time_ns() // 10**6}
        ),
    )
    (event_id,) = answer.json()["event_ids"]
    began = time.monotonic()
    app.seconds_until("the like is stored", lambda: bool(app.stored("user_category_v1", "tracy")["tiles"]))
    app.feed("tracy")
    app.seconds_until("the page is logged", lambda: trace(app.settings, event_id, wait_s=1.0).missing == ())
    took = time.monotonic() - began
    names = [hop.name for hop in trace(app.settings, event_id).hops]
    print(f"the whole trace stood after {took:.1f} s")
    assert names[:2] == ["accepted", "clean"]
    assert {name.split(" ")[0] for name in names} - {"ClickHouse"} == {"accepted", "clean", "tile", "store", "next"}
    assert {name for name in names if name.startswith("store")} == {f"store {view}" for view in VIEWS}
    assert took < 20


def test_a_second_copy_and_an_unknown_id_are_told_apart(app: App) -> None:
    event_id = f"0190c0de-{time.time_ns() % 0xFFFF:04x}-4000-8000-{time.time_ns() % 16**12:012x}"
    body = {"event_type": "app_open", "user_id": f"{app.tag}-tom", "event_id": event_id}
    for _ in range(2):
        app.post(body)
    app.seconds_until("both have a verdict", lambda: len(trace(app.settings, event_id, wait_s=0).hops) >= 4)
    names = [hop.name for hop in trace(app.settings, event_id, wait_s=0).hops if hop.name in ("clean", "duplicate")]
    assert sorted(names) == ["clean", "duplicate"]
    nobody = trace(app.settings, "01a00000-0000-7000-8000-000000000000", wait_s=0)
    assert (nobody.hops, nobody.missing) == ((), ("accepted",))


def test_the_command_prints_json_for_programs(stack: Any) -> None:
    command = [sys.executable, "-m", "foryou.cli", "trace", "01a00000-0000-7000-8000-000000000000", "--json"]
    ran = subprocess.run(command, env=stack.environ, capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(ran.stdout)["missing"] == ["accepted"], ran.stderr
    assert httpx.get(f"{stack.settings.url('store')}/healthz").status_code == 200
