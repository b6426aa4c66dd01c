"""The books of a day: what did not reach Kafka is a hole, what lives elsewhere a line, and nothing is no success."""

import json
import os
from datetime import UTC, date, datetime

from typer.testing import CliRunner

from foryou.cli import ledger
from foryou.cli.app import app
from foryou.cli.ledger import ELSEWHERE, LOG, set_aside_lines
from foryou.lake.ledger import Line, Place
from foryou.lake.topic_spans import Span
from foryou.service.settings import PORTS, Settings

DAY = date(2026, 11, 20)


def put(folder, name, hour, day=DAY):
    path = folder / name
    path.write_bytes(b"x")
    at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()
    os.utime(path, (at, at))


def test_pieces_of_the_day_are_a_hole_and_torn_ends_are_none(tmp_path):
    put(tmp_path, "1.bad", 0)
    put(tmp_path, "2.unwanted", 23)
    put(tmp_path, "3.torn", 12)  # nobody was told that it was taken
    put(tmp_path, "4.bad", 1, date(2026, 11, 21))
    (line,) = set_aside_lines(tmp_path, DAY)
    assert (line.hop, line.left, line.holds) == (LOG, 2, False)


def test_nothing_set_aside_is_no_line(tmp_path):
    assert set_aside_lines(tmp_path / "nowhere", DAY) == []


def test_what_lives_elsewhere_is_a_line_and_a_cluster_that_is_away_is_named(tmp_path, monkeypatch):
    text = '[residency.to.eu]\nsuffix = ".eu"\n[residency.to.us]\nkafka = "127.0.0.1:1"\n'
    (tmp_path / "gate.toml").write_text(text)
    spans = {"events.action.v1.eu": {0: Span(0, 5, 12), 1: Span(0, 3, 3)}}
    monkeypatch.setattr(ledger, "answers", lambda host, port: None if port == 9092 else "closed")
    monkeypatch.setattr(ledger, "spans_of", lambda kafka, topics, *_: {t: spans.get(t, {}) for t in topics})
    notes = []
    lines = ledger._elsewhere(Settings(home=tmp_path), DAY, notes)
    assert lines == [Line(ELSEWHERE, Place("events.action.v1.eu", 0), 7, {"in eu": 7}, ())]
    assert all(line.holds for line in lines)
    assert notes == ["What lives in us is not counted: Kafka at 127.0.0.1:1: it does not answer"]


def test_nothing_counted_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "live_settings", lambda: Settings(home=tmp_path, ports=dict.fromkeys(PORTS, 1)))
    said = CliRunner().invoke(app, ["ledger", "--date", f"{DAY}"])
    assert said.exit_code == 3
    assert f"Nothing of {DAY} was counted, so nothing is known" in said.output
    told = json.loads(CliRunner().invoke(app, ["ledger", "--date", f"{DAY}", "--json"]).output)
    assert (told["good"], told["lines"]) == (False, [])
