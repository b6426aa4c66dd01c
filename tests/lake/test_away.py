"""A part of the stack that is away is told in a sentence by the step that needs it, and by the night."""

import json
import socket
import sys
from datetime import date
from unittest.mock import MagicMock

import httpx
import pytest
from confluent_kafka import KafkaError, KafkaException
from typer.testing import CliRunner

from foryou.cli import nightly
from foryou.cli.app import app
from foryou.lake import days, job
from foryou.lake.away import Part, PartAway, listens, needing
from foryou.lake.bronze import SchemaMissing
from foryou.lake.patience import Patience
from foryou.lake.tables import Lake
from jobs.batch import analytics, embeddings, night, publish

from .waits import Waits

KAFKA = Part("Kafka", "127.0.0.1:9092,127.0.0.1:9093")
STORE = Part("the store", "http://127.0.0.1:6566")
REGISTRY = Part("the registry", "http://127.0.0.1:8081/apis/ccompat/v7")
DAY = "2026-11-20"
NONE = Patience(limit_s=0)


def asked(kind, url, **more):
    return kind("[Errno 111] refused", request=httpx.Request("GET", url), **more)


def told(error, kafka=None, listening=lambda _: True):
    with pytest.raises(Exception) as raised, needing(kafka, [STORE, REGISTRY], listening, NONE):
        raise error
    return raised.value


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout])
def test_a_request_that_got_no_answer_tells_which_part_it_was(kind):
    away = told(asked(kind, "http://127.0.0.1:6566/push"))
    assert isinstance(away, PartAway) and str(away) == "the store at http://127.0.0.1:6566 does not answer"


def test_it_is_found_among_the_causes_of_an_error():
    try:
        raise SchemaMissing("schema 7") from asked(httpx.ConnectError, "http://127.0.0.1:8081/apis/ccompat/v7/schemas")
    except SchemaMissing as error:
        away = told(error)
    assert str(away) == "the registry at http://127.0.0.1:8081/apis/ccompat/v7 does not answer"


@pytest.mark.parametrize(("status", "kind"), [(503, PartAway), (422, httpx.HTTPStatusError)])
def test_a_part_that_cannot_answer_now_is_away_and_one_that_refuses_is_not(status, kind):
    error = asked(httpx.HTTPStatusError, "http://127.0.0.1:6566/push", response=httpx.Response(status))
    away = told(error)
    assert type(away) is kind
    assert status != 503 or str(away) == "the store at http://127.0.0.1:6566 answers 503"


def test_what_failed_for_another_reason_is_left_as_it_is():
    for error in (ValueError("ours"), asked(httpx.ConnectError, "http://elsewhere:1/"), KeyError("x")):
        assert told(error, KAFKA) is error


def test_a_step_that_failed_while_kafka_is_gone_failed_for_that():
    asked_for = iter([True, False])
    away = told(RuntimeError("StreamingQueryException: …"), KAFKA, lambda _: next(asked_for))
    assert str(away) == "Kafka at 127.0.0.1:9092,127.0.0.1:9093 does not answer"
    lost = told(KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)), KAFKA)
    assert str(lost) == str(away)


def test_without_kafka_a_step_that_needs_it_is_not_begun():
    begun = []
    minute = Waits()
    with pytest.raises(PartAway, match="Kafka at"), needing(KAFKA, [], lambda _: False, minute.patience):
        begun.append(True)
    assert (begun, minute.now) == ([], 60.0)


def test_a_kafka_that_is_started_again_meanwhile_is_waited_for():
    begun, found, minute = [], iter([False, False, True]), Waits()
    with needing(KAFKA, [], lambda _: next(found), minute.patience):
        begun.append(True)
    assert (begun, minute.now) == ([True], 1.5)


def test_one_of_several_addresses_is_enough():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listens(Part("Kafka", f"127.0.0.1:1,127.0.0.1:{port}")) and listens(
            Part("x", f"http://127.0.0.1:{port}")
        )
    assert not listens(Part("Kafka", f"127.0.0.1:1,127.0.0.1:{port}"))


class NoSpark:
    """A session that is not asked for anything."""

    @property
    def catalog(self):
        return self

    def clearCache(self):  # noqa: N802
        pass

    def stop(self):
        pass


ARGV = ["--date", DAY, "--analytics", "http://127.0.0.1:1", "--home"]
AWAY = "analytics (ClickHouse) at http://127.0.0.1:1 does not answer"


@pytest.fixture
def published(tmp_path, monkeypatch):
    days.mark(Lake(tmp_path / "lake").made, [date(2026, 11, 20)])
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "clickhouse.key").write_text("k")
    monkeypatch.setattr(analytics, "hand_over", lambda *_: ["events"])
    for module in (night, job):
        monkeypatch.setattr(module, "session", lambda _: NoSpark())
    monkeypatch.setattr(night, "end_with_parent", lambda: None)
    return tmp_path


def test_the_jobs_of_a_night_say_it_in_a_line_for_who_reads_them(published, capsys):
    with pytest.raises(PartAway):
        night.main(["--steps", "analytics", *ARGV, str(published)], NONE)
    assert json.loads(capsys.readouterr().out) == {"away": AWAY}


def of_publish(_):
    return publish.work


def of_embeddings(monkeypatch):
    monkeypatch.setattr(embeddings, "learn", MagicMock())
    for name in ("publish_day", "current"):
        monkeypatch.setattr(embeddings, name, lambda *_: "v1")
    monkeypatch.setattr(embeddings, "publish_to_feast", lambda store, *_: store.post("/push"))
    return embeddings.work


@pytest.mark.parametrize("of", [of_publish, of_embeddings, lambda _: analytics.work])
def test_a_part_that_ended_is_waited_for_before_that_is_said(published, monkeypatch, of):
    waits = Waits()
    where = ["--store", "http://127.0.0.1:1", "--registry", "http://127.0.0.1:1", "--kafka", "127.0.0.1:1"]
    arguments = job.parse([*where, *ARGV, str(published)], "", waits.patience)
    with pytest.raises(httpx.ConnectError):
        of(monkeypatch)(MagicMock(), arguments)
    assert waits.now == 60.0


def test_a_job_by_itself_ends_with_the_sentence(published):
    with pytest.raises(SystemExit) as ended:
        job.run("analytics", [*ARGV, str(published)], "", analytics.work, NONE)
    assert ended.value.code == f"analytics: {AWAY}. `foryou up` starts it; then run this again."


@pytest.mark.parametrize(
    ("words", "next_time"),
    [((), "goes on with it"), (("--steps", "bronze,silver"), "begins again with bronze")],
)
def test_the_night_says_which_part_is_away_where_and_what_to_do(tmp_path, monkeypatch, words, next_time):
    lines = "\n".join(json.dumps(line) for line in ({"done": "bronze", "wrote": {}}, {"away": AWAY}))
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    monkeypatch.setattr(nightly, "say_java", lambda _: None)
    monkeypatch.setattr(nightly.Spark, "_argv", lambda *_: [sys.executable, "-c", f"print({lines!r})"])
    monkeypatch.setattr(nightly.Spark, "_environ", lambda _: {})
    result = CliRunner().invoke(app, ["nightly", "--offline", "--date", DAY, *words])
    said = f"silver stopped: {AWAY}. `foryou up` starts it; then the same command {next_time}."
    assert (result.exit_code, result.output.splitlines()[-1]) == (1, said)
