"""A broker that was silent for so long that the cluster gave it up: everybody is back when it is (`make drill`)."""

import os
import signal
import threading
import time
import uuid

import httpx
import pytest

from ..lanes import until

pytestmark = pytest.mark.timeout(300)
FENCED_S = 13.0  # KRaft waits for nine
BACK_S = 30.0


def test_a_broker_that_was_fenced_gets_what_waited_and_everybody_finds_it_again(stack):
    urls = {name: stack.settings.url(name) for name in ("collector", "forwarder", "store", "ranker", "analytics")}
    key, user = next(iter(stack.settings.secrets().write_keys)), f"fenced-{uuid.uuid4().hex[:8]}"
    sent, over = [], threading.Event()

    def tap() -> None:
        with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=20) as phone:
            while not over.wait(0.05):
                now, ids = time.time_ns() // 1_000_000, [str(uuid.uuid4()) for _ in range(10)]
                event = {"event_type": "impression", "user_id": user, "video_id": "v", "event_time": now}
                events = [event | {"event_id": event_id} for event_id in ids]
                if phone.post(f"{urls['collector']}/v1/events", json=events).status_code in (200, 202):
                    sent.extend(ids)

    phone = threading.Thread(target=tap)
    phone.start()
    broker = stack.state.parts["kafka"].pid
    os.kill(broker, signal.SIGSTOP)
    try:
        over.wait(FENCED_S)
    finally:
        os.kill(broker, signal.SIGCONT)
    lacking: dict[str, object] = {}

    def well() -> bool:
        answers = {name: httpx.get(f"{url}/healthz", timeout=5) for name, url in urls.items()}
        lacking.clear()
        lacking.update({name: each.text for name, each in answers.items() if each.status_code != 200})
        waits = answers["collector"].json().get("waiting_for")
        return not lacking and not waits

    began = time.monotonic()
    try:
        until(f"everybody is well: {lacking}", well, BACK_S)
        print(f"\nwell again after {time.monotonic() - began:.1f} s")
    finally:
        over.set()
        phone.join()
    person = stack.settings.secrets().identity.user_key("demo", user)

    def counted() -> int:
        sql = "SELECT uniqExact(event_id) FROM events WHERE user_key = {p:String}"
        answer = httpx.post(urls["analytics"], params={"param_p": person}, content=sql, timeout=20)
        return int(answer.text) if answer.status_code == 200 else -1

    until("every event is in ClickHouse", lambda: counted() == len(sent), 60)
    assert len(sent) > 1_000
