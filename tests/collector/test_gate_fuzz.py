"""Whatever comes in: no exception leaves the door, and every event sent is either accepted or rejected."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foryou.contract.events import TYPES, ClientEvent

from .conftest import NOW, Collector

FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
plausible = {
    "event_type": st.sampled_from(sorted(TYPES)),
    "event_time": st.sampled_from([NOW, NOW - 1, "2026-09-21T14:13:20Z"]),
    "user_id": st.text(min_size=1, max_size=8),
    "video_id": st.text(min_size=1, max_size=8),
    "target_user_id": st.just("t1"),
    "query": st.text(max_size=10),
    "watch_ms": st.integers(-1, 100_000),
    "creator_id": st.just("c1"),
    "duration_ms": st.just(9_000),
    "category": st.sampled_from(["cats", ""]),
    "moderation": st.sampled_from(["allowed", "maybe"]),
    "properties": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
}
nearly = st.fixed_dictionaries(
    {}, optional={name: plausible.get(name, anything) for name in ClientEvent.__struct_fields__ if name in plausible}
)
odd = st.dictionaries(st.sampled_from(ClientEvent.__struct_fields__) | st.text(max_size=5), anything, max_size=6)
events = nearly | odd | anything


def check_equation(collector: Collector, sent: int | None = None) -> None:
    received, accepted, rejected = (collector.counted(what) for what in ("received", "accepted", "rejected"))
    assert received == accepted + rejected
    assert sent is None or received == sent
    taken = sum(len(collector.log.of(topic)) for topic in {record.topic for record in collector.log.records})
    assert taken - len(collector.rejected()) == accepted
    for topic in {record.topic for record in collector.log.records}:
        collector.records(topic)  # whatever was taken can be decoded


@FUZZ
@given(st.lists(events, min_size=1, max_size=8))
def test_every_event_of_an_array_is_accepted_or_rejected(batch):
    collector = Collector()
    answer = collector.post(json.dumps(batch).encode())

    assert answer.status in (202, 207, 400, 422), answer.body
    check_equation(collector, len(batch))


@FUZZ
@given(st.lists(events, min_size=1, max_size=8))
def test_every_event_of_a_line_is_accepted_or_rejected(batch):
    collector = Collector()
    answer = collector.post("\n".join(map(json.dumps, batch)).encode(), "application/x-ndjson")

    assert answer.status in (202, 207, 400, 422), answer.body
    check_equation(collector, len(batch))


@FUZZ
@given(st.binary(max_size=200), st.sampled_from(["application/json", "application/x-ndjson", "text/html", ""]))
def test_any_bytes_get_an_answer(body, content_type):
    collector = Collector()
    answer = collector.post(body, content_type)

    assert answer.status in (202, 400, 415, 422), answer.body
    check_equation(collector)


@FUZZ
@given(nearly, st.data())
def test_a_damaged_event_gets_an_answer(event, data):
    raw = bytearray(json.dumps([event, event]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from(list(b'"\\{}[],:\x00\xff0ue')))
    collector = Collector()
    answer = collector.post(bytes(raw))

    assert answer.status in (202, 207, 400, 422), answer.body
    check_equation(collector)


@FUZZ
@given(
    st.sampled_from(["POST /v1/videos", "PATCH /v1/videos/v1", "PUT /v1/users/u1", "DELETE /v1/users/u1/follows/x"]),
    odd.map(lambda value: json.dumps(value).encode())
    | anything.map(lambda v: json.dumps(v).encode())
    | st.binary(max_size=50),
)
def test_the_side_doors_answer_whatever_comes(door, body):
    collector = Collector()
    answer = collector.ask(*door.split(), body)

    assert answer.status in (202, 400, 422), answer.body
    check_equation(collector, 1)
