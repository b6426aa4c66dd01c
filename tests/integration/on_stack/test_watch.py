"""`foryou events watch` on the running stack: a good and a refused event, as they come."""

import subprocess
import sys
import time

import httpx


def test_a_good_and_a_refused_event_are_lines_as_they_come(stack):
    key = next(iter(stack.settings.secrets().write_keys))
    command = [sys.executable, "-m", "foryou.cli", "events", "watch", "-n", "2", "--type", "search"]
    environ = {**stack.environ, "COLUMNS": "100"}
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
    assert watching.stdout is not None and "watching" in watching.stdout.readline()
    now_ms = time.time_ns() // 1_000_000
    good = {"event_type": "search", "event_time": now_ms, "user_id": "watched", "query": "cats"}
    for event in (good, {**good, "query": None}):
        httpx.post(
            f"{stack.settings.url('collector')}/v1/events", json=event, headers={"authorization": f"Bearer {key}"}
        )
    lines = "".join(watching.communicate(timeout=30)[0].split("\n"))

    assert watching.returncode == 0
    assert " ok search          cats " in lines and " no missing_field at query " in lines
    assert "send query with every search" in lines
