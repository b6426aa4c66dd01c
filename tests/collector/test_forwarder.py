"""The log reaches Kafka in order and whole, whatever dies in between; what is kept is bounded in time."""

import errno

import pytest

from foryou.collector.forward import checkpoint
from foryou.collector.forward.forwarder import ASIDE_KEEP_S
from foryou.collector.log.event_log import LogRecord
from foryou.collector.log.segments import ASIDE, segments

from .forward_bench import MINUTE, TOPIC, Bench, append, at_once, event, once


@pytest.fixture
def bench(tmp_path, monkeypatch):
    at_once(monkeypatch)
    return Bench(tmp_path)


def test_the_log_reaches_kafka_in_order_with_its_keys(bench):
    bench.take(100, segment_bytes=2_000)
    bench.forward()

    assert bench.sent() == list(range(100))
    assert {key for _, key, _ in bench.kafka.taken} == {"demo|uk"}
    assert bench.forwarder.waiting_for() == []


def test_a_new_process_goes_on_where_the_last_one_was(bench):
    bench.take(10)
    bench.forward()
    bench.take(10)
    bench.forwarder = bench.start()
    bench.forward()

    assert bench.sent() == list(range(20))


def test_a_lost_or_broken_checkpoint_costs_duplicates_and_no_event(bench):
    bench.take(10)
    bench.forward()
    (bench.folder / checkpoint.NAME).write_bytes(b'{"segm')
    bench.forwarder = bench.start()
    bench.forward()

    assert bench.sent() == [*range(10), *range(10)]


@pytest.mark.parametrize("taken", range(0, 12))
def test_a_kafka_that_dies_after_any_record_has_all_of_them_in_order_when_it_is_back(bench, taken):
    bench.take(10, segment_bytes=700)
    bench.kafka.fail_after = taken
    bench.forward()
    if taken < 10:
        assert bench.forwarder.waiting_for() == ["kafka"]
    bench.kafka.up, bench.kafka.fail_after = True, None
    bench.forward()

    assert once(bench.sent()) == list(range(10))


def test_an_emptied_kafka_gets_all_that_is_kept(bench):
    bench.take(10, segment_bytes=700)
    bench.forward()
    bench.kafka.empty()
    bench.take(5)
    bench.forward()

    assert bench.sent() == list(range(15))


def test_after_a_new_start_of_the_machine_kafka_gets_all_that_is_kept(bench):
    bench.forwarder = bench.start(boot="monday")
    bench.take(10)
    bench.forward()
    bench.forwarder = bench.start(boot="monday")
    bench.forward()
    assert bench.sent() == list(range(10))

    bench.forwarder = bench.start(boot="tuesday")
    bench.forward()
    bench.forward()
    assert bench.sent() == [*range(10), *range(10)]


def test_a_new_start_of_the_machine_is_not_forgotten_by_a_forwarder_that_ends_before_it_reaches_kafka(bench):
    bench.forwarder = bench.start(boot="monday")
    bench.take(10)
    bench.forward()
    waiting = bench.start(boot="tuesday")
    waiting._wait_for("registry")  # what every start does first; it saves the checkpoint
    bench.forwarder = bench.start(boot="tuesday")
    bench.forward()

    assert bench.sent() == [*range(10), *range(10)]


def test_who_asks_for_it_gets_all_that_is_kept_once_more(bench):
    bench.take(10)
    bench.forward()
    (bench.folder / checkpoint.RESEND).touch()
    bench.forward()
    bench.forward()

    assert bench.sent() == [*range(10), *range(10)]
    assert not (bench.folder / checkpoint.RESEND).exists()


def test_segments_are_kept_for_a_time_after_kafka_has_them_and_the_last_one_for_ever(bench):
    bench.take(20, segment_bytes=700)
    bench.forward()
    kept = len(segments(bench.folder))
    bench.now_s += 9 * MINUTE
    bench.forward()
    assert len(segments(bench.folder)) == kept > 3

    bench.now_s += 2 * MINUTE
    bench.forward()
    assert len(segments(bench.folder)) == 1


def test_a_crowded_log_lets_go_of_what_kafka_has_before_its_time(bench):
    bench.take(20, segment_bytes=700)
    there = segments(bench.folder)
    size = sum(each.path.stat().st_size for each in there)
    bench.forwarder = bench.start(quota_bytes=size)
    bench.forward()

    left = segments(bench.folder)
    assert left == there[len(there) - len(left) :]
    assert 1 < len(left) < len(there)
    assert sum(each.path.stat().st_size for each in left) <= size / 2


def test_on_a_full_disk_events_go_on_and_what_kafka_has_makes_room(bench, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space")

    bench.take(20, segment_bytes=700)
    monkeypatch.setattr(checkpoint, "save", full)
    bench.forward()

    assert bench.sent() == list(range(20))
    assert len(segments(bench.folder)) == 1


def test_nothing_that_kafka_does_not_have_is_deleted_however_old(bench):
    bench.take(20, segment_bytes=700)
    bench.kafka.up = False
    for _ in range(3):
        bench.now_s += 600 * MINUTE
        bench.forward()
    bench.kafka.up = True
    bench.forward()

    assert bench.sent() == list(range(20))


def test_bytes_that_went_bad_are_set_aside_counted_and_passed(bench):
    bench.take(20, segment_bytes=700)
    second = segments(bench.folder)[1].path
    data = bytearray(second.read_bytes())
    data[50] ^= 1
    second.write_bytes(data)
    bench.forward()

    lost = set(range(20)) - set(bench.sent())
    assert len(lost) == 1 and bench.sent() == sorted(bench.sent())
    assert [path.suffix for path in (bench.folder / ASIDE).iterdir()] == [".bad"]
    assert bench.metrics.value("foryou_forwarder_bad_bytes_total") > 0


def test_frames_lost_in_the_middle_of_a_segment_are_counted(bench):
    bench.take(20)
    only = segments(bench.folder)[0].path
    data = bytearray(only.read_bytes())
    data[len(data) // 2] ^= 1
    only.write_bytes(data)
    bench.take(0)
    bench.forward()

    assert bench.metrics.value("foryou_forwarder_lost_frames_total") == 1
    assert len(bench.sent()) == 19


def test_a_record_that_kafka_will_never_take_is_set_aside_and_holds_nothing_up(bench):
    bench.take(1)
    large = LogRecord(TOPIC, "k", {**event(98).record, "query": "x" * 200})
    odd = [LogRecord(TOPIC, "k", {"no": "schema"}), LogRecord("no.topic", "k", {}), large, event(99)]
    append(bench.folder, odd)
    bench.kafka.longest = 200
    bench.forward()

    assert bench.sent() == [0, 99]
    assert bench.metrics.value("foryou_forwarder_unwanted_total", topic=TOPIC) == 2
    assert len(list((bench.folder / ASIDE).iterdir())) == 3


def test_what_was_set_aside_is_kept_for_a_week(bench):
    bench.take(1)
    (bench.folder / ASIDE).mkdir()
    (bench.folder / ASIDE / "old.bad").touch()
    bench.now_s += ASIDE_KEEP_S  # the file's own time is the machine's, long after this clock's
    bench.forward()
    assert (bench.folder / ASIDE / "old.bad").exists()

    bench.now_s += 4e9
    bench.forward()
    assert not (bench.folder / ASIDE / "old.bad").exists()


def test_a_log_that_was_removed_is_begun_anew(bench):
    bench.take(10, segment_bytes=700)
    bench.forward()
    for each in segments(bench.folder):
        each.path.unlink()
    bench.take(3)
    bench.forward()

    assert bench.sent() == list(range(13))


def test_the_checkpoint_says_what_the_forwarder_waits_for(bench):
    bench.kafka.up = False
    bench.forward()
    assert checkpoint.load(bench.folder).waiting_for == ["kafka"]

    bench.kafka.up = True
    bench.forward()
    assert checkpoint.load(bench.folder).waiting_for == []
