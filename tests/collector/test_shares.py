"""Several forwarders over one log, for residences and accounts: each carries its own in order, none holds up others."""

import pytest

from foryou.collector.forward import checkpoint
from foryou.collector.forward.__main__ import shares
from foryou.collector.forward.testing import MemoryKafka
from foryou.collector.log.event_log import LogRecord
from foryou.collector.log.segments import ASIDE, segments
from foryou.contract.events import Lane
from foryou.service.gate_settings import Elsewhere, ResidencyTable

from .forward_bench import DECODE, MINUTE, TOPIC, Bench, append, at_once, event, once

ACCOUNT = Lane.ACCOUNT.value
ALONE = ResidencyTable({}, {}, {})
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

    def next_event(self):
        record = super().next_event()
        record.record["region"] = ["FR", "de"][int(record.record["video_id"]) % 2]
        return record

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
    divided.restart(ALONE)
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


def word(number, **more):
    row = {"event_id": f"w{number}", "app_id": "demo", "event_type": "consent_changed", "user_key": "uk"}
    return LogRecord(ACCOUNT, "demo|uk", {**row, "event_time": number, "received_at": 2, **more})


def words(kafka):
    return [DECODE(value)["event_time"] for topic, _, value in kafka.taken if topic.startswith(ACCOUNT)]


def test_accounts_wait_for_no_event_that_was_taken_before_them_and_go_once(divided):
    divided.restart(ALONE)
    posts = [*([event(number)] for number in range(30)), [event(30), word(1)], [word(2), word(3)]]
    append(divided.folder, *posts, segment_bytes=700)
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
    append(divided.folder, *([word(number), event(number)] for number in range(30)), segment_bytes=700)
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
    append(divided.folder, *([word(number), event(number)] for number in range(9)), segment_bytes=700)
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
