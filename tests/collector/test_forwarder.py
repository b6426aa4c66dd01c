"""The log reaches Kafka in order and whole, whatever dies in between; what is kept is bounded in time."""

import asyncio
import errno
import itertools

import pytest

from foryou.collector.forward import checkpoint
from foryou.collector.forward.__main__ import shares
from foryou.collector.forward.forwarder import ASIDE_KEEP_S, Forwarder
from foryou.collector.forward.testing import MemoryKafka
from foryou.collector.log.disk_log import DiskLog
from foryou.collector.log.event_log import LogRecord
from foryou.collector.log.segments import ASIDE, segments
from foryou.contract.codec import Decoder, Encoder
from foryou.contract.events import Lane
from foryou.contract.schemas import schema
from foryou.contract.topics import REJECTED, TOPICS
from foryou.service.gate_settings import Elsewhere, ResidencyTable
from foryou.service.metrics import Metrics

TOPIC = Lane.ACTION.value
NAMES = [*(lane.value for lane in Lane), REJECTED]
SCHEMAS = {name: schema(TOPICS[name].schema) for name in NAMES}
ENCODERS = {name: Encoder(SCHEMAS[name], number) for number, name in enumerate(NAMES)}
DECODE = Decoder(lambda number: SCHEMAS[NAMES[number]])
MINUTE = 60.0


class Bench:
    """A log, a Kafka in memory, a clock that is set; every session ends when there is nothing new."""

    def __init__(self, folder):
        self.folder, self.kafka, self.now_s, self.metrics = folder, MemoryKafka(), 1_000.0, Metrics()
        self.forwarder = self.start()
        self._number = itertools.count()

    def start(self, **changes):
        """Another process, after the one before was killed."""
        clock = lambda: self.now_s  # noqa: E731
        return Forwarder(
            self.folder,
            self.kafka.connect,
            lambda: ENCODERS,
            self.metrics,
            keep_s=10 * MINUTE,
            clock_s=clock,
            **changes,
        )

    def take(self, count, **changes):
        """The collector runs, takes so many events, one to a post, and stops."""
        log = DiskLog(self.folder, Metrics(), **changes)

        async def all_of_them():
            for _ in range(count):
                await log.append([event(next(self._number))])

        asyncio.run(all_of_them())
        log.close()

    def forward(self):
        """Sessions until there is nothing to send; each look at the clock ages it."""
        rounds = iter(range(30))

        def until():
            self.now_s += 1.0
            return next(rounds, None) is None

        self.forwarder.session(ENCODERS, until)

    def sent(self):
        return [int(DECODE(value)["video_id"]) for topic, _, value in self.kafka.taken if topic == TOPIC]


def event(number):
    row = {"event_id": f"e{number}", "app_id": "demo", "event_type": "like", "user_key": "uk", "event_time": 1}
    return LogRecord(TOPIC, "demo|uk", {**row, "received_at": 2, "video_id": str(number)})


def at_once(monkeypatch):
    """No rest between two rounds or tries."""
    for pause in ("RETRY_S", "ROUND_S", "ROUND_MOST_S"):
        monkeypatch.setattr(f"foryou.collector.forward.forwarder.{pause}", 0.0)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    at_once(monkeypatch)
    return Bench(tmp_path)


def once(numbers):
    return list(dict.fromkeys(numbers))


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
    log = DiskLog(bench.folder, Metrics())
    large = LogRecord(TOPIC, "k", {**event(98).record, "query": "x" * 200})
    odd = [LogRecord(TOPIC, "k", {"no": "schema"}), LogRecord("no.topic", "k", {}), large, event(99)]
    asyncio.run(log.append(odd))
    log.close()
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


EU = ResidencyTable({}, {"DE": "eu"}, {"eu": Elsewhere(suffix=".eu")})
ABROAD = ResidencyTable({"demo": "eu"}, {}, {"eu": Elsewhere(kafka="far:1")})


def share_of(residency, name):
    return next(share for share in shares(residency) if share.name == name)


class Divided(Bench):
    """A log that two share: home's Kafka, and another for those who live in the EU. Odd numbers do."""

    def __init__(self, folder):
        self.abroad, self.residency = MemoryKafka(), EU
        super().__init__(folder)
        self.others = self.start_others()

    def start(self, **changes):
        return super().start(**{"share": share_of(self.residency, "home"), **changes})

    def start_others(self):
        home, others = self.kafka, {}
        for share in shares(self.residency)[1:]:
            self.kafka = self.abroad if share.name.startswith("eu") else home
            others[share.name] = self.start(share=share)
        self.kafka = home
        return others

    def restart(self, residency):
        self.residency = residency
        self.forwarder, self.others = self.start(), self.start_others()

    def take(self, count, **changes):
        log = DiskLog(self.folder, Metrics(), **changes)

        async def all_of_them():
            for _ in range(count):
                number = next(self._number)
                record = event(number)
                record.record["region"] = ["FR", "de"][number % 2]
                await log.append([record])

        asyncio.run(all_of_them())
        log.close()

    def forward(self, abroad=True):
        super().forward()
        home = self.forwarder
        for name, other in self.others.items():
            if abroad or not name.startswith("eu"):
                self.forwarder = other
                super().forward()
        self.forwarder = home

    def sent_abroad(self):
        return [int(DECODE(value)["video_id"]) for _, _, value in self.abroad.taken]


@pytest.fixture
def divided(tmp_path, monkeypatch):
    at_once(monkeypatch)
    return Divided(tmp_path)


def test_each_record_goes_where_it_lives_in_order_and_nowhere_else(divided):
    divided.take(10, segment_bytes=700)
    divided.forward()
    assert (divided.sent(), divided.sent_abroad()) == ([0, 2, 4, 6, 8], [1, 3, 5, 7, 9])
    assert {topic for topic, _, _ in divided.kafka.taken} == {TOPIC}
    assert {topic for topic, _, _ in divided.abroad.taken} == {f"{TOPIC}.eu"}
    assert divided.metrics.value("foryou_forwarder_sent_total", topic=f"{TOPIC}.eu") == 5


def test_a_residence_that_is_away_holds_up_nobody_and_loses_nothing(divided):
    divided.take(20, segment_bytes=700)
    divided.abroad.fail_after = 3
    divided.forward()
    for _ in range(3):
        divided.now_s += 600 * MINUTE
        divided.forward()
    assert divided.sent() == list(range(0, 20, 2))
    assert (divided.forwarder.waiting_for(), divided.others["eu"].waiting_for()) == ([], ["kafka"])
    assert checkpoint.load(divided.folder, checkpoint.name_of("eu")).waiting_for == ["kafka"]

    divided.abroad.up, divided.abroad.fail_after = True, None
    divided.restart(EU)
    divided.forward()
    assert once(divided.sent_abroad()) == list(range(1, 20, 2))
    divided.now_s += 11 * MINUTE
    divided.forward()
    divided.now_s += 11 * MINUTE
    divided.forward()
    assert len(segments(divided.folder)) == 1


def test_a_home_that_is_away_holds_up_no_residence(divided):
    divided.kafka.up = False
    divided.take(4)
    divided.forward()
    assert (divided.sent(), divided.sent_abroad()) == ([], [1, 3])


def test_a_residence_that_never_came_up_keeps_its_events_however_crowded_the_log_is(divided):
    divided.take(20, segment_bytes=700)
    there = segments(divided.folder)
    divided.forwarder = divided.start(quota_bytes=1)
    divided.now_s += 60 * MINUTE
    divided.forward(abroad=False)
    assert segments(divided.folder) == there


def test_other_rules_send_again_what_is_kept_so_that_nothing_falls_between_them(divided):
    divided.take(10, segment_bytes=700)
    divided.abroad.up = False  # what it lacks is to come home
    divided.forward()
    divided.restart(ResidencyTable({}, {}, {}))
    divided.now_s += 600 * MINUTE
    divided.forwarder._wait_for("registry")  # a start that has not met Kafka yet deletes nothing
    divided.forward()
    assert sorted(once(divided.sent())) == list(range(10))

    divided.abroad.up = True
    divided.restart(ABROAD)
    divided.take(2)
    divided.forward()
    assert {10, 11} <= set(divided.sent_abroad()) and not {10, 11} & set(divided.sent())
    assert {topic for topic, _, _ in divided.abroad.taken} == {TOPIC}


def test_who_asks_for_all_once_more_gets_it_everywhere(divided):
    divided.take(4)
    divided.forward()
    (divided.folder / checkpoint.RESEND).touch()
    divided.forward()
    divided.forward()
    assert (divided.sent(), divided.sent_abroad()) == ([0, 2, 0, 2], [1, 3, 1, 3])


def test_bytes_that_are_no_record_are_set_aside_once(divided):
    divided.take(20)
    only = segments(divided.folder)[0].path
    data = bytearray(only.read_bytes())
    data[len(data) // 2] ^= 1
    only.write_bytes(data)
    divided.take(0)
    divided.forward()
    assert divided.metrics.value("foryou_forwarder_lost_frames_total") == 1
    assert [path.suffix for path in (divided.folder / ASIDE).iterdir()] == [".bad"]


ALONE = ResidencyTable({}, {}, {})
ACCOUNT = Lane.ACCOUNT.value


def word(number, **more):
    row = {"event_id": f"w{number}", "app_id": "demo", "event_type": "consent_changed", "user_key": "uk"}
    return LogRecord(ACCOUNT, "demo|uk", {**row, "event_time": number, "received_at": 2, **more})


def append(folder, *posts):
    log = DiskLog(folder, Metrics(), segment_bytes=700)

    async def all_of_them():
        for post in posts:
            await log.append(post)

    asyncio.run(all_of_them())
    log.close()


def words(kafka):
    return [DECODE(value)["event_time"] for topic, _, value in kafka.taken if topic.startswith(ACCOUNT)]


def test_accounts_wait_for_no_event_that_was_taken_before_them_and_go_once(divided):
    divided.restart(ALONE)
    append(divided.folder, *([event(number)] for number in range(30)), [event(30), word(1)], [word(2), word(3)])
    before = divided.forwarder, divided.others
    divided.forwarder = divided.others["home.accounts"]
    Bench.forward(divided)
    assert (words(divided.kafka), divided.sent()) == ([1, 2, 3], [])
    divided.forwarder, divided.others = before
    divided.forward()
    assert (words(divided.kafka), divided.sent()) == ([1, 2, 3], list(range(31)))
    for _ in range(2):
        divided.now_s += 11 * MINUTE
        divided.forward()
    assert len(segments(divided.folder)) == 1


def test_a_segment_stays_until_its_accounts_are_in_kafka(divided):
    divided.restart(ALONE)
    append(divided.folder, *([word(number), event(number)] for number in range(30)))
    there, divided.others = segments(divided.folder), {}
    for _ in range(3):
        divided.now_s += 11 * MINUTE
        divided.forward()
    assert (divided.sent(), segments(divided.folder)) == (list(range(30)), there)


def test_an_account_lives_where_its_person_does(divided):
    append(divided.folder, [word(1, region="DE"), word(2), word(3, region="de")])
    divided.forward()
    assert (words(divided.kafka), words(divided.abroad)) == ([2], [1, 3])
    assert {topic for topic, _, _ in divided.abroad.taken} == {f"{ACCOUNT}.eu"}


def test_a_record_of_no_topic_that_we_know_is_set_aside_and_not_passed_over(divided):
    divided.restart(ALONE)
    append(divided.folder, [event(1)], [LogRecord("events.new.v1", "demo|uk", {})])
    divided.forward()
    assert divided.metrics.value("foryou_forwarder_unwanted_total", topic="events.new.v1") == 1
    assert [path.suffix for path in (divided.folder / ASIDE).iterdir()] == [".unwanted"]


def test_who_asks_for_all_once_more_gets_accounts_once_more_and_not_twice(divided):
    append(divided.folder, [word(1, region="DE"), word(2)])
    divided.forward()
    (divided.folder / checkpoint.RESEND).touch()
    divided.forward()
    divided.forward()
    assert (words(divided.kafka), words(divided.abroad)) == ([2, 2], [1, 1])


def test_accounts_that_have_not_begun_anew_keep_what_they_will_send(divided):
    """The machine was started anew; home is quicker, and the log is crowded."""
    divided.restart(ALONE)
    accounts = share_of(ALONE, "home.accounts")
    divided.forwarder, divided.others = divided.start(boot="one"), {"": divided.start(share=accounts, boot="one")}
    append(divided.folder, *([word(number), event(number)] for number in range(9)))
    divided.forward()
    there = segments(divided.folder)
    divided.forwarder, divided.others = divided.start(boot="another", quota_bytes=1), {}
    divided.now_s += 11 * MINUTE
    divided.forward()
    assert segments(divided.folder) == there
    divided.others = {"": divided.start(share=accounts, boot="another")}
    divided.forward()
    divided.forward()
    assert len(segments(divided.folder)) == 1 and words(divided.kafka) == [*range(9), *range(9)]


def test_whoever_carries_what_together_they_carry_all_and_nothing_twice():
    for residency in (ALONE, EU, ABROAD):
        names = [share.name for share in shares(residency)]
        assert names == [name for each in ("home", *residency.to) for name in (each, f"{each}.accounts")]
        split = [(share.only, share.but) for share in shares(residency)]
        assert split == [("", ACCOUNT), (ACCOUNT, "")] * (len(names) // 2)
        assert set(shares(residency)[0].beside) == set(names[1:])
