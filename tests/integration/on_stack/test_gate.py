"""The gate with everything real behind it: keys while processes run, feeds by token, dead letters and back, consent."""

import json
import os
import subprocess
import sys
import time
import uuid

import httpx
import pytest

from foryou.contract.events import FUTURE_MS
from foryou.service.settings import REPO


class Gate:
    """A client of the stack's doors, and its command line."""

    def __init__(self, stack):
        self.stack, self.tag = stack, uuid.uuid4().hex[:8]
        self.collector, self.ranker = stack.settings.url("collector"), stack.settings.url("ranker")
        self.key = next(iter(stack.settings.secrets().write_keys))

    def foryou(self, *arguments):
        environ = {**os.environ, **self.stack.settings.environ()}
        command = [sys.executable, "-m", "foryou.cli", *arguments]
        return subprocess.run(command, cwd=REPO, env=environ, capture_output=True, text=True, timeout=60)

    def post(self, event, key=None):
        headers = {"authorization": f"Bearer {key or self.key}"}
        return httpx.post(f"{self.collector}/v1/events", json=event, headers=headers, timeout=20)

    def feed(self, key, **query):
        headers = {"authorization": f"Bearer {key}"}
        return httpx.get(f"{self.ranker}/v1/feed", params=query, headers=headers, timeout=20)

    def like(self, **changes):
        now = time.time_ns() // 1_000_000
        return {"event_type": "like", "user_id": f"raw-{self.tag}", "video_id": "v", "event_time": now, **changes}


@pytest.fixture(scope="module")
def gate(stack):
    return Gate(stack)


def until(what, holds, within_s=10.0):
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, what
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_key_opens_and_shuts_while_everything_runs(gate):
    key = gate.foryou("keys", "new", "--label", gate.tag).stdout.strip()
    until("the new key opens", lambda: gate.post(gate.like(), key).status_code == 202, 2)
    assert gate.feed(key, user_id="ann").status_code == 403
    caller = gate.stack.settings.secrets().keys.ring.find(key, 0)
    assert gate.foryou("keys", "revoke", caller.key_id).returncode == 0
    until("the revoked key opens nothing", lambda: gate.post(gate.like(), key).status_code == 401, 2)


def test_a_person_reads_their_own_feed_and_nobody_elses(gate):
    token = gate.foryou("token", f"raw-{gate.tag}").stdout.strip()
    assert gate.feed(token).status_code == gate.feed(token, user_id=f"raw-{gate.tag}").status_code == 200
    assert gate.feed(token, user_id="somebody-else").json()["reason"] == "another_user"
    headers = {"authorization": f"Bearer {gate.key}"}
    made = httpx.post(f"{gate.ranker}/v1/tokens", json={"user_id": "ben"}, headers=headers).json()
    assert gate.feed(made["token"]).status_code == 200


def test_a_dead_letter_is_replayed_once_when_it_has_become_right(gate):
    early = gate.like(event_time=time.time_ns() // 1_000_000 + FUTURE_MS + 3_000)
    assert gate.post(early).json()["reason"] == "time_out_of_range"

    def listed():
        said = gate.foryou("dlq", "list", "--reason", "time_out_of_range", "--since", "1m", "-n", "1")
        return said.stdout.splitlines()[1].split()[0] if said.returncode == 0 and said.stdout.count("\n") > 1 else None

    until("the letter is listed", listed, 30)
    place = listed()
    opened = gate.foryou("dlq", "show", place, "--open")
    assert json.loads(opened.stdout) == early
    assert gate.tag not in gate.foryou("dlq", "show", place).stdout + opened.stderr
    time.sleep(max(0.0, (early["event_time"] - FUTURE_MS) / 1_000 - time.time()))
    first, second = gate.foryou("dlq", "replay", place), gate.foryou("dlq", "replay", place)
    assert (first.returncode, second.returncode) == (0, 0), (first, second)
    assert "replayed" in first.stdout and "already" in second.stdout
    lane = gate.foryou("topics", "tail", "events.action.v1", "--json", "--key", _key(gate), "-n", "100").stdout
    times = [json.loads(line)["value"]["event_time"] for line in lane.splitlines()]
    assert times.count(early["event_time"]) == 1


def test_a_withdrawn_consent_takes_effect_within_a_second(gate):
    user, headers = f"raw-consent-{gate.tag}", {"authorization": f"Bearer {gate.key}"}
    assert gate.feed(gate.key, user_id=user).json()["fallback"] != "not_personalised"
    path = f"{gate.collector}/v1/users/{user}"
    body = {"event_type": "consent_changed", "consent": {"personalisation": False}}
    assert httpx.put(path, json=body, headers=headers, timeout=20).status_code == 202
    took_s = until("the feed knows", lambda: gate.feed(gate.key, user_id=user).json()["fallback"] == "not_personalised")
    print(f"withdrawn → not personalised: {took_s * 1_000:.0f} ms")
    assert took_s < 1.0


def test_who_withdraws_from_analytics_is_in_no_row_of_clickhouse_within_a_second(gate):
    user = f"raw-analytics-{gate.tag}"
    person = gate.stack.settings.secrets().identity.user_key("demo", user)

    def counted(sql):
        answer = httpx.post(gate.stack.settings.url("analytics"), params={"param_p": person}, content=sql, timeout=20)
        return int(answer.raise_for_status().text)

    def taps(count):
        ids = [str(uuid.uuid4()) for _ in range(count)]
        for event_id in ids:
            assert gate.post(gate.like(user_id=user, event_id=event_id, session_id="s")).status_code == 202
        return f"event_id IN ({', '.join(map(repr, ids))})"

    before = taps(5)
    hers = "SELECT count() FROM events WHERE user_key = {p:String}"
    until("her rows are there", lambda: counted(hers) == 5, 60)
    headers, body = {"authorization": f"Bearer {gate.key}"}, {"event_type": "consent_changed", "consent": {"ads": True}}
    answer = httpx.put(f"{gate.collector}/v1/users/{user}", json=body, headers=headers, timeout=20)
    assert answer.status_code == 202
    took_s = until("nobody finds her", lambda: counted(hers) == 0)
    print(f"withdrawn → in no row of ClickHouse: {took_s * 1_000:.0f} ms")
    assert took_s < 1.0

    after = taps(5)
    until("what she does goes on to count", lambda: counted(f"SELECT count() FROM events WHERE {after}") == 5, 60)
    tells = "user_key != '' OR session_id IS NOT NULL"
    assert counted(f"SELECT countIf({tells}) FROM events WHERE {before} OR {after}") == 0
    asked = {"url": f"{gate.ranker}/v1/consent", "params": {"user_id": user}, "headers": headers}
    wanted = {"analytics": False, "personalisation": False, "ads": True}
    assert httpx.get(**asked).json()["purposes"] == wanted


def test_no_log_of_collector_or_ranker_has_a_key_a_token_or_a_raw_id(gate):
    logs = gate.stack.settings.home / "logs"
    text = (logs / "collector.log").read_text("utf-8") + (logs / "ranker.log").read_text("utf-8")
    assert gate.tag not in text and gate.key not in text and "eyJ" not in text


def _key(gate):
    return gate.stack.settings.secrets().identity.user_key("demo", f"raw-{gate.tag}")
