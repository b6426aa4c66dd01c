"""`foryou topics`: every topic, and no line wider than a terminal; what is said when nothing is found or Kafka goes."""

import io
import json
import socket
import time
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException
from rich.console import Console
from typer.testing import CliRunner

from foryou.cli import topics
from foryou.cli.app import app
from foryou.contract.residence import elsewhere
from foryou.local.kafka import all_topics


def shown(width, held, declared=None):
    console = Console(width=width)
    with console.capture() as said:
        console.print(topics.listing(held, declared or all_topics()))
    return [line.rstrip() for line in said.get().splitlines()]


def test_80_columns_are_enough_for_every_name_and_number():
    lines = shown(80, dict.fromkeys(all_topics(), (16, 1_234_567_890)))
    assert max(map(len, lines)) <= 80
    assert [line.split()[:3] for line in lines if line.startswith(("events.clean", "features.video_eng"))] == [
        ["events.clean.v1", "16", "1,234,567,890"],
        ["features.video_engagement.v1", "16", "1,234,567,890"],
    ]


def test_a_topic_that_is_missing_and_one_that_is_not_ours_are_told():
    held = dict.fromkeys(all_topics(), (4, 7)) | {"mine": (1, 2)}
    del held["relations.v1"]
    lines = shown(100, held)
    assert next(line for line in lines if line.startswith("relations.v1")).split()[1] == "missing"
    assert lines[-1].split() == ["mine", "1", "2", "not", "ours"]


def test_a_residence_in_this_cluster_has_topics_that_are_ours():
    declared = all_topics() | elsewhere(".eu")
    told = [line.split()[-2:] for line in shown(100, dict.fromkeys(declared, (4, 7)), declared)]
    assert ["not", "ours"] not in told


def test_in_a_pipe_it_is_100_columns_wide(tmp_path, monkeypatch):
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    monkeypatch.setattr(topics, "reach", lambda *_: None)
    monkeypatch.setattr(topics, "_held", lambda _: dict.fromkeys(all_topics(), (4, 1_234_567)))
    said = CliRunner().invoke(app, ["topics", "list"], prog_name="foryou")
    assert max(len(line.rstrip()) for line in said.output.splitlines()) <= 100


class Record:
    """A message of Kafka."""

    def __init__(self, offset, key):
        self._offset, self._key = offset, key

    def error(self):
        return None

    def topic(self):
        return "events.clean.v1"

    def partition(self):
        return 0

    def offset(self):
        return self._offset

    def key(self):
        return self._key.encode()

    def value(self):
        return b"{}"

    def timestamp(self):
        return 1, 1_796_034_091_527 + self._offset


class Topic:
    """A consumer of a topic that holds these keys in one partition. What it is asked while Kafka is away fails."""

    def __init__(self, *keys, away=()):
        self._records = [Record(offset, key) for offset, key in enumerate(keys)]
        self._position, self._away = 0, list(away)

    def connected(self, kafka, group, there):
        self.there = there
        return self

    def list_topics(self, *_, timeout):
        if self._away and self._away.pop(0):
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        topic = SimpleNamespace(error=None, partitions={0: None})
        return SimpleNamespace(topics={"events.clean.v1": topic})

    def get_watermark_offsets(self, partition, timeout):
        return 0, len(self._records)

    def assign(self, starts):
        (start,) = starts
        self._position = start.offset

    def consume(self, number, timeout):
        batch = self._records[self._position : self._position + number]
        self._position += len(batch)
        return batch

    def position(self, partitions):
        return [SimpleNamespace(partition=0, offset=self._position)]

    def close(self):
        pass


def tail(tmp_path, monkeypatch, consumer, *arguments):
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    monkeypatch.setattr(topics, "reach", lambda *_: None)
    monkeypatch.setattr(topics, "follower", consumer.connected)
    monkeypatch.setattr(topics, "Registry", lambda _: SimpleNamespace(decoder=lambda: json.loads))
    return CliRunner().invoke(app, ["topics", "tail", "events.clean.v1", *arguments], prog_name="foryou")


def test_a_key_that_no_record_has_is_said_with_how_many_were_looked_at(tmp_path, monkeypatch):
    said = tail(tmp_path, monkeypatch, Topic(*["ann"] * 1_234), "--json", "--key", "nosuch")
    told = "No record has a key that contains 'nosuch'; looked at: 1,234\n"
    assert (said.exit_code, said.stdout, said.stderr) == (0, "", told)


def test_where_older_records_were_not_looked_at_it_is_said_how_to(tmp_path, monkeypatch):
    consumer = Topic(*["ann"] * 50_001)
    told = (
        "No record has a key that contains 'nosuch'; looked at: 50,000, the newest of each partition. "
        "--from-beginning looks at all\n"
    )
    assert tail(tmp_path, monkeypatch, consumer, "--key", "nosuch").stderr == told
    said = tail(tmp_path, monkeypatch, consumer, "--key", "nosuch", "--from-beginning")
    assert said.stderr == "No record has a key that contains 'nosuch'; looked at: 50,001\n"


def test_the_newest_that_have_the_key_are_shown_without_a_word_more(tmp_path, monkeypatch):
    consumer = Topic("ann", "ben", "ann", "ann")
    said = tail(tmp_path, monkeypatch, consumer, "--json", "--key", "ann", "-n", "2")
    assert [json.loads(line)["offset"] for line in said.stdout.splitlines()] == [2, 3] and said.stderr == ""
    said = tail(tmp_path, monkeypatch, consumer, "--json", "--key", "ann", "-n", "0")
    assert (said.stdout, said.stderr) == ("", "")


class Interrupted(Exception):
    """Ctrl-C."""


def test_who_follows_says_once_that_kafka_went_and_once_that_it_is_back():
    written = io.StringIO()
    there = topics.Presence("127.0.0.1:9092", Console(file=written, soft_wrap=True))
    consumer, rounds = Topic(*"abc", away=[True, True, False]), []
    consumes = consumer.consume

    def consume(number, timeout):
        rounds.append(None)
        if len(rounds) in (2, 3, 5):  # it complains again and again; then of one connection, and Kafka is there
            there.doubt(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        if len(rounds) == 7:
            raise Interrupted
        return consumes(1, timeout) if len(rounds) in (1, 5, 6) else []

    consumer.consume = consume
    with pytest.raises(Interrupted):
        list(there.onward(consumer))
    assert written.getvalue() == (
        "Kafka at 127.0.0.1:9092 does not answer any more; waiting for it. `foryou up` starts it.\nKafka is back.\n"
    )
    assert len(rounds) == 7 and consumer._position == 3


def test_a_tail_that_follows_goes_on_after_kafka_was_away(tmp_path, monkeypatch):
    consumer, rounds = Topic("ann", "ben", away=[False, True, False]), []
    consumes = consumer.consume

    def consume(number, timeout):
        rounds.append(None)
        if len(rounds) == 3:
            consumer._records.append(Record(2, "after"))
        if len(rounds) == 4:
            raise KeyboardInterrupt
        consumer.there.doubt(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        return consumes(number, timeout)

    consumer.consume = consume
    said = tail(tmp_path, monkeypatch, consumer, "-f", "--json")
    assert [json.loads(line)["key"] for line in said.stdout.splitlines()] == ["ann", "ben", "after"]
    assert "does not answer any more; waiting for it. `foryou up` starts it." in said.stderr
    assert said.stderr.endswith("Kafka is back.\n") and said.stderr.count("\n") == 2


def test_of_a_kafka_that_is_away_librdkafka_prints_nothing_and_we_one_sentence(capfd):
    with socket.socket() as taken:  # bound and not listening: refused
        taken.bind(("127.0.0.1", 0))
        kafka = f"127.0.0.1:{taken.getsockname()[1]}"
        written = io.StringIO()
        there = topics.Presence(kafka, Console(file=written, soft_wrap=True))
        consumer = topics.follower(kafka, "foryou-test", there)
        ends = time.monotonic() + 1
        consumes = consumer.consume

        class Bounded:
            list_topics = consumer.list_topics

            @staticmethod
            def consume(number, timeout):
                if time.monotonic() > ends:
                    raise Interrupted
                return consumes(number, timeout)

        with pytest.raises(Interrupted):
            list(there.onward(Bounded))
        consumer.close()
    assert capfd.readouterr() == ("", "")
    assert written.getvalue() == f"Kafka at {kafka} does not answer any more; waiting for it. `foryou up` starts it.\n"
