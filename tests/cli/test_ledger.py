"""The books of a day: what did not reach Kafka is a hole, what lives elsewhere a line, and nothing is no success. What
answers on a port and is of another home is not asked."""

import io
import json
import os
import threading
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from rich.console import Console
from typer.testing import CliRunner

from foryou.cli import ledger
from foryou.cli.app import app
from foryou.cli.ledger import ELSEWHERE, LOG, Books, set_aside_lines
from foryou.contract.events import Lane
from foryou.lake.books import SILVER
from foryou.lake.ledger import Line, Place
from foryou.lake.tables import Lake
from foryou.lake.topic_spans import Span
from foryou.local import state
from foryou.local.lifecycle import runs_here
from foryou.local.process_id import ProcessId, identify
from foryou.local.state import PartState, StackState
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


class Answers(BaseHTTPRequestHandler):
    """A collector's /metrics."""

    text = ""
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.text.encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def collector(tmp_path, monkeypatch):
    """Something that answers on the collector's and on ClickHouse's port; whose it is, `lives_in` says."""
    handler = type("Handler", (Answers,), {"asked": 0})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = dict.fromkeys(PORTS, 1) | {"collector": server.server_port, "analytics": server.server_port}
    settings = Settings(home=tmp_path / "home", ports=ports)
    settings.home.mkdir()
    monkeypatch.setattr(ledger, "live_settings", lambda: settings)
    handler.settings = settings
    yield handler
    server.shutdown()
    server.server_close()


def counting(received, accepted):
    lane = '{lane="events.action.v1"}'
    return "".join(
        f"# TYPE foryou_collector_{what} counter\nforyou_collector_{what}_total{lane} {count}\n"
        for what, count in (("received", received), ("accepted", accepted))
    )


def lives_in(settings, process, ports=None):
    """As the supervisor of a home writes that its collector is this process."""
    part = PartState("collector", "", "", "healthy", pid=process.pid, started=process.started)
    path = settings.home / "run" / "state.json"
    path.parent.mkdir()
    state.save(path, StackState(f"{settings.home}", process, 0, {"collector": part}, dict(ports or settings.ports)))


def me():
    return identify(os.getpid())


def asked(*more):
    return CliRunner().invoke(app, ["ledger", "--date", f"{DAY}", *more])


def test_the_parts_of_another_home_are_not_asked(collector, monkeypatch):
    collector.text = counting(7, 7)
    monkeypatch.setattr(ledger, "answers", lambda *_: pytest.fail("a Kafka of another home was asked"))
    said = asked()
    assert (said.exit_code, collector.asked) == (3, 0)
    assert "The collector does not run" in said.output
    assert "Kafka does not run" in said.output
    notes = []
    assert ledger._analytics(collector.settings, Lake(collector.settings.home / "lake"), DAY, notes) == []
    assert (notes, collector.asked) == (["ClickHouse is not running: it is not counted."], 0)


def test_the_collector_of_this_home_is_asked(collector):
    collector.text = counting(7, 7)
    lives_in(collector.settings, me())
    said = asked()
    assert (said.exit_code, collector.asked) == (0, 1)
    assert "7 accepted" in said.output


def test_a_collector_that_counted_nothing_is_nothing_counted(collector):
    collector.text = counting(0, 0)
    lives_in(collector.settings, me())
    said = asked()
    assert said.exit_code == 3
    assert f"Nothing of {DAY} was counted, so nothing is known" in said.output
    assert json.loads(asked("--json").output)["good"] is False


def test_a_part_lives_here_while_its_process_does_on_the_port_that_is_asked(collector):
    settings = collector.settings
    assert not runs_here(settings, "collector"), "no state"
    lives_in(settings, me())
    assert runs_here(settings, "collector")
    assert not runs_here(settings, "kafka"), "not among the parts"
    moved = Settings(home=settings.home, ports=settings.ports | {"collector": 2})
    assert not runs_here(moved, "collector")


def test_a_part_that_died_lives_nowhere(collector):
    lives_in(collector.settings, ProcessId(os.getpid(), me().started + 1))
    assert not runs_here(collector.settings, "collector")


IMPORT = "3f2a9c0d1e4b5a678899"
OTHER = "3f2a9c0d1e4b5a67ffff"


def test_rows_of_imports_can_be_told_apart_on_eighty_columns():
    lanes = [lane.value for lane in Lane]
    topics = [*lanes, *(f"import.{lane}.{number}" for number in (IMPORT, OTHER) for lane in lanes)]
    right = {"silver": 5_039_971_000, "copies": 12_345_678, "unreadable": 1_234_567}
    lines = [Line(SILVER, Place(topic, 0), sum(right.values()), right, ()) for topic in topics]
    out = io.StringIO()
    ledger.show(Books(DAY, lines), Console(file=out, width=80))
    rows = [line.split("│")[2].strip() for line in out.getvalue().splitlines() if line.startswith("│")]
    imports = [word for short in ("import 3f2a…8899", "import 3f2a…ffff") for lane in lanes for word in (lane, short)]
    assert [row for row in rows if row] == [*lanes, *imports]
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_a_short_id_is_not_cut():
    assert ledger.label("import.events.action.v1.mine") == "events.action.v1\nimport mine"
