"""The demo: its books open and close on moments that agree, and what it leaves out it says."""

import asyncio
import io
from datetime import date
from types import SimpleNamespace

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

from foryou.cli import demo, demo_night, demonstration
from foryou.cli.app import app
from foryou.cli.demo_night import left_out, show_trends
from foryou.cli.demonstration import Ask, Books
from foryou.cli.nightly import StepFailed
from foryou.cli.topic_ends import ADMITTED, TAPS, Ends, counted
from foryou.contract.topics import FLAGGED, REJECTED
from foryou.lake.history import ImportFailed
from foryou.service.settings import Settings
from foryou.simulator.catalogue import SIZE
from foryou.simulator.tally import Counted, Lanes

DAY = date(2026, 11, 20)


def heard(accepted, letters=0):
    return Counted(accepted + letters, accepted, letters, 0, letters)


def topics(accepted, clean, rejected=0):
    zeros = dict.fromkeys((*TAPS, FLAGGED, REJECTED, *ADMITTED), 0)
    return Ends(zeros | {TAPS[0]: accepted, ADMITTED[0]: clean, REJECTED: rejected})


@pytest.fixture
def books(monkeypatch):
    """Books that see these looks, one after the other and then the last for ever; time passes only between looks."""
    clock = SimpleNamespace(now=0.0)

    async def sleep(seconds):
        clock.now += seconds

    monkeypatch.setattr(demonstration.asyncio, "sleep", sleep)
    monkeypatch.setattr(demonstration.time, "monotonic", lambda: clock.now)

    def seeing(*looks):
        made, left = Books("", None), list(looks)

        async def look():
            return left.pop(0) if len(left) > 1 else left[0]

        made._look = look
        made.looks = left
        return made

    return seeing


def opened_and_closed(made):
    async def both():
        await made.open()
        return await made.close(Progress(disable=True))

    return asyncio.run(both())


def test_books_open_when_nothing_moves_and_close_when_all_hops_agree(books):
    made = books(
        (heard(3), topics(2, 1)),  # somebody's events are on their way
        (heard(3), topics(3, 3)),
        (heard(3), topics(3, 3)),
        (heard(9, 1), topics(8, 7, 1)),
        (heard(10, 1), topics(10, 9, 1)),  # and one came meanwhile
        (heard(10, 1), topics(10, 10, 1)),
    )
    assert opened_and_closed(made) == (heard(7, 1), Lanes(7, 1, clean=7, duplicate=0, late=0))
    assert made.restless() == []


def test_what_is_missing_for_good_closes_the_books_as_they_are(books):
    made = books((heard(0), topics(0, 0)), (heard(0), topics(0, 0)), (heard(5), topics(5, 4)))
    assert opened_and_closed(made) == (heard(5), Lanes(5, 0, clean=4, duplicate=0, late=0))
    assert made.restless() == [], "nothing moved: it is a hole"


def test_somebody_who_never_stops_posting_is_said(books):
    made = books(*((heard(n), topics(n, n - 1)) for n in range(1, 400)))
    opened_and_closed(made)
    (told,) = made.restless()
    assert "somebody posted all the while" in told
    assert "`foryou demo` again" in told


def test_so_is_somebody_who_posts_all_the_while_that_they_close(books):
    made = books(
        (heard(0), topics(0, 0)), (heard(0), topics(0, 0)), *((heard(n), topics(n, n - 1)) for n in range(1, 400))
    )
    opened_and_closed(made)
    assert len(made.restless()) == 1


def test_the_collectors_counts_are_of_one_look_and_of_the_lanes_that_flink_or_nobody_judges():
    told = {"events.action.v1": 5, "events.context.v1": 4, FLAGGED: 3, "unknown": 2, "events.content.v1": 100}
    text = "# TYPE foryou_collector_received counter\n" + "".join(
        f'foryou_collector_received_total{{lane="{lane}"}} {count}\n' for lane, count in told.items()
    )
    text += "# TYPE foryou_collector_dead_letters counter\nforyou_collector_dead_letters_total 9\n"
    asked = []

    class Door:
        async def get(self, path):
            asked.append(path)
            return SimpleNamespace(body=text.encode())

    assert asyncio.run(counted(Door())) == Counted(received=14, accepted=0, rejected=0, limited=0, letters=9)
    assert asked == ["/metrics"]


@pytest.fixture
def staged(tmp_path, monkeypatch):
    """The demo without a stack: what its halves return, and which ran."""
    ran = []
    monkeypatch.setattr(demo, "live_settings", lambda: Settings(home=tmp_path))
    monkeypatch.setattr(demo, "start", lambda *_: False)

    def stage(report, night_good=True):
        def night(*_):
            ran.append("night")
            if isinstance(night_good, BaseException):
                raise night_good
            return night_good

        monkeypatch.setattr(demo, "_on_stack", lambda *_: report)
        monkeypatch.setattr(demo, "night", night)
        said = CliRunner().invoke(app, ["demo", "--once", "--night", "--people", "7", "--videos", "9000"])
        return said, ran

    return stage


def test_the_night_runs_where_an_equation_is_off_and_the_demo_fails_all_the_same(staged):
    said, ran = staged(SimpleNamespace(good=False))
    assert (said.exit_code, ran) == (1, ["night"])
    said, ran = staged(SimpleNamespace(good=True))
    assert said.exit_code == 0
    assert "Left out" not in said.output


def test_a_demo_that_stopped_says_what_is_left_out_and_how_to_get_it(staged):
    said, ran = staged(None)
    assert (said.exit_code, ran) == (1, [])
    again = "`foryou demo --people 7 --seconds 75 --seed 1 --rate 500 --videos 9000 --night`"
    assert f"Left out: the report and the night. {again} makes them." in said.output


def test_a_night_that_was_interrupted_is_said_to_be_left_out(staged):
    said, _ = staged(SimpleNamespace(good=True), KeyboardInterrupt())
    assert said.exit_code == 1
    assert "Left out: the night. `foryou demo" in said.output
    assert "--night` makes it." in said.output


def test_the_command_of_a_demo_says_no_more_than_was_asked():
    assert Ask(7, 75.0, 1, 500.0, SIZE).command == "foryou demo --people 7 --seconds 75 --seed 1 --rate 500"


def test_a_night_that_stopped_says_what_is_left_out_and_how_to_get_it():
    told = left_out(StepFailed("silver failed"), date(2026, 11, 15), DAY)
    assert told == (
        "Left out: the night's summary, speed against batch, and what trends. "
        "`foryou nightly --from 2026-11-15 --to 2026-11-20` goes on with the night, then `foryou parity`."
    )
    assert "`foryou demo --night` makes the history again" in left_out(ImportFailed("no"), DAY, DAY)


def test_trends_that_clickhouse_does_not_tell_are_said_to_be_left_out(tmp_path, monkeypatch):
    def shown(answer):
        def top(*_):
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(demo_night, "_top", top)
        out = io.StringIO()
        good = show_trends(Settings(home=tmp_path), DAY, Console(file=out, width=200))
        return good, out.getvalue()

    again = "`foryou nightly --date 2026-11-20 --steps trends,analytics` hands them over again."
    assert shown(ClickHouseError("it is gone [1]")) == (
        False,
        f"Left out: what trends, asked of ClickHouse: it is gone [1]. {again}\n",
    )
    assert shown([]) == (True, f"Left out: what trends, asked of ClickHouse: it has none of the day. {again}\n")
    good, said = shown([("category", "calm", 12, 3)])
    assert good
    assert "calm" in said
    assert "Left out" not in said
