"""A session with a Kafka that answers nothing ends, and leaves nothing behind."""

import gc
import socket
import time
from pathlib import Path

import pytest

from foryou.collector.forward import sender
from foryou.collector.forward.sender import Away, KafkaSender


@pytest.fixture
def silent():
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def threads():
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def test_a_kafka_that_takes_nothing_ends_the_session(silent, monkeypatch):
    monkeypatch.setattr(sender, "STUCK_S", 0.2)
    session = KafkaSender(silent)
    session.send("topic", "key", b"value")
    with pytest.raises(Away, match="taken nothing"):
        session.flush()
    session.close()


def test_a_session_that_ended_leaves_no_thread_for_the_collector_of_garbage(silent):
    before = threads()
    gc.disable()
    try:
        session = KafkaSender(silent)
        session.send("topic", "key", b"value")
        assert threads() > before
        session.close()
        give_up = time.monotonic() + 10
        while threads() > before and time.monotonic() < give_up:
            time.sleep(0.02)
        assert threads() <= before
    finally:
        gc.enable()
