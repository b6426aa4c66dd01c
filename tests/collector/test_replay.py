"""A dead letter's bytes, read once more by the door that they came through, get the verdict that they got."""

import asyncio
import json
import logging

import pytest

from bench import intake_fuzz
from foryou.collector.protocols import PROTOCOLS
from foryou.collector.protocols.cloudevents import CLOUDEVENTS
from foryou.collector.protocols.plain import PLAIN
from foryou.contract.gate import Refused
from foryou.contract.topics import REJECTED

from .conftest import KEY, NOW, Collector

OF_THE_WHOLE = {"empty", "too_many_events", "too_large", "bad_encoding", "broken_encoding", "bad_content_type"}
OF_THE_BATCH = ("event_time", "sent_at")  # what a batch says for all of its events is not in the letter of one


BY_PATH = {path: protocol for protocol in PROTOCOLS for _, path in protocol.paths}


def again(collector, letter):
    """The event of a letter's bytes, by the way that they came."""
    way = json.loads(collector.seal.open(letter["way"]))
    plain = CLOUDEVENTS if "cloudevents" in way["content_type"] else PLAIN
    protocol = BY_PATH.get(way["path"], plain)
    return protocol.again(collector.seal.open(letter["body"]), NOW)


@pytest.mark.parametrize("seed", range(3))
def test_every_refused_event_of_a_spoiled_batch_is_refused_again_for_the_same_reason(seed, monkeypatch):
    logging.disable(logging.CRITICAL)
    monkeypatch.setattr(intake_fuzz, "KEY", KEY)
    collector, target = Collector(), intake_fuzz.Target()
    target.router = collector.router

    async def fill():
        for number, sample in enumerate(intake_fuzz.bodies(seed)):
            if number == 600:
                return
            await target.send(sample)

    asyncio.run(fill())
    logging.disable(logging.NOTSET)
    seen = 0
    for letter in collector.records(REJECTED):
        if letter["reason"] in OF_THE_WHOLE or letter["door"].endswith("…") or letter["door"] == "/v1/videos":
            continue
        event = again(collector, letter)
        verdict = event if isinstance(event, Refused) else collector.gate.check(event, "demo", NOW)
        if letter["detail"].startswith(verdict.detail if isinstance(verdict, Refused) else "accepted"):
            seen += 1
        else:  # the body was refused as a whole, and its kind of refusal is not an event's
            fields = ("$", "data", "batch", *OF_THE_BATCH)
            assert letter["field"] is not None and letter["field"].startswith(fields), letter
    assert seen > 50


@pytest.mark.parametrize("path", ["/v1/track", "/v1/alias"])
def test_what_the_path_said_is_said_again(collector, path):
    body = b'{"event":"Order Completed","userId":"u1"}'
    collector.ask("POST", path, body)
    (letter,) = collector.records(REJECTED)

    said = again(collector, letter)
    assert isinstance(said, Refused) and letter["detail"] == f"{said.detail}; {said.remedy}"
