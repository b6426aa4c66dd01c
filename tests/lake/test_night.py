"""What a night goes on with, and what it begins anew."""

import os
import socket
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foryou.cli import nightly
from foryou.cli.app import app
from foryou.lake import days, night_lock
from foryou.lake.night import Done, Night, begin, save
from foryou.lake.night_lock import alone, under_way
from foryou.lake.tables import Lake
from foryou.local.jdk import Jdk
from foryou.service.settings import Settings

DAY = date(2026, 11, 20)
DONE = {name: Done(1.0, {}) for name in ("bronze", "silver")}


def test_a_night_that_was_cut_off_goes_on_and_one_that_ended_begins_anew(tmp_path):
    save(tmp_path, Night(DAY, DAY, 5, DONE))
    assert begin(tmp_path, DAY, DAY, 9) == Night(DAY, DAY, 5, DONE)
    save(tmp_path, Night(DAY, DAY, 5, DONE, finished=True))
    assert begin(tmp_path, DAY, DAY, 9) == Night(DAY, DAY, 9)


def test_imports_that_its_bronze_has_not_read_begin_it_anew(tmp_path):
    save(tmp_path, Night(DAY, DAY, 5, DONE))
    assert begin(tmp_path, DAY, DAY, 9, more=True) == Night(DAY, DAY, 9)
    save(tmp_path, Night(DAY, DAY, 5))
    assert begin(tmp_path, DAY, DAY, 9, more=True) == Night(DAY, DAY, 5)


def test_steps_by_name_run_again_and_leave_no_night_to_go_on_with(tmp_path):
    first = begin(tmp_path, DAY, DAY, 5, ["bronze"])
    assert not first.done and first.finished
    save(tmp_path, first.with_step("bronze", DONE["bronze"]))
    assert begin(tmp_path, DAY, DAY, 9, ["silver"]).done == {"bronze": DONE["bronze"]}
    assert begin(tmp_path, DAY, DAY, 9) == Night(DAY, DAY, 9)


def test_what_stands_on_a_step_that_ran_again_runs_again_when_a_night_goes_on(tmp_path):
    save(tmp_path, Night(DAY, DAY, 5, {**DONE, "tiles": Done(1.0, {})}))
    assert begin(tmp_path, DAY, DAY, 9, ["silver"]) == Night(DAY, DAY, 5, {"bronze": DONE["bronze"]})


def test_a_cut_off_is_claimed_only_for_what_was_all_made_since(tmp_path):
    save(tmp_path, Night(DAY, DAY, 5, DONE, finished=True))
    for named in (["bronze"], ["publish"], ["silver", "tiles"]):
        assert begin(tmp_path, DAY, DAY, 9, named).complete_through == 5
    assert begin(tmp_path, DAY, DAY, 9, ["bronze", "silver", "tiles", "publish"]).complete_through == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--date", "2199-01-01"), "still to come"),
        (("--date", "20261120"), "YYYY-MM-DD"),
        (("--from", "1900-01-01", "--to", "2026-11-20"), "more than 400 days"),
        (("--memory", "4GB"), "no memory"),
    ],
)
def test_what_was_mistyped_is_refused_before_anything_is_marked(tmp_path, monkeypatch, words, said):
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(app, ["nightly", "--offline", *words])
    assert result.exit_code == 2 and said in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "next_time"),
    [((), "goes on with it"), (("--steps", "bronze,silver"), "begins again with bronze")],
)
def test_an_interrupted_night_says_where_it_stopped(tmp_path, monkeypatch, words, next_time):
    def bronze_then_ctrl_c(spark, steps, tonight):
        yield steps[0], Done(1.0, {})
        raise KeyboardInterrupt

    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    monkeypatch.setattr(nightly, "say_java", lambda _: None)
    monkeypatch.setattr(nightly.Spark, "__call__", bronze_then_ctrl_c)
    result = CliRunner().invoke(app, ["nightly", "--offline", "--date", "2026-11-20", *words])
    told = f"Night 2026-11-20 stopped in silver: the same command {next_time}.\n"
    assert (result.exit_code, result.output) == (130, told)


def test_later_days_that_changed_are_named_and_today_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    monkeypatch.setattr(nightly, "say_java", lambda _: None)
    monkeypatch.setattr(nightly.Spark, "__call__", lambda spark, steps, _: ((step, Done(1.0, {})) for step in steps))
    today = days.day_of(time.time_ns() // 1_000_000)
    days.mark(Lake(tmp_path / "lake").dirty, [DAY, date(2026, 11, 21), date(2026, 11, 22), today])
    result = CliRunner().invoke(app, ["nightly", "--offline", "--date", "2026-11-20"])
    assert (
        "2 later days have changed, too, and must be made again: `foryou nightly --date 2026-11-22`." in result.output
    )
    assert "later days" not in CliRunner().invoke(app, ["nightly", "--offline", "--date", "2026-11-22"]).output


def test_a_night_has_temporary_files_of_its_own_and_those_of_the_last_are_gone(tmp_path, monkeypatch):
    left = tmp_path / "tmp" / "nightly" / "blockmgr-1"
    left.mkdir(parents=True)
    seen = []

    def submitted(argv, *, env, **_):
        seen.append((argv, env["TMPDIR"], left.exists()))
        raise nightly.StepFailed("far enough")

    monkeypatch.setattr(nightly, "say_java", lambda _: None)
    monkeypatch.setattr(nightly, "find_jdk", lambda _: Jdk(Path("/jdk"), 17))
    monkeypatch.setattr(nightly.subprocess, "Popen", submitted)
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    CliRunner().invoke(app, ["nightly", "--offline", "--date", "2026-11-20"])
    ((argv, tmpdir, not_emptied),) = seen
    assert (tmpdir, not_emptied) == (str(left.parent), False)
    assert [word for word in argv if word.endswith(f' "-Djava.io.tmpdir={left.parent}"')]


def test_one_night_at_a_time_and_the_second_hears_of_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(night_lock, "ENDING_S", 0.0)
    lake = Lake(tmp_path)
    assert under_way(lake) is None
    with alone(lake, (DAY, date(2026, 11, 21))):
        assert under_way(lake) == f"pid {os.getpid()}, 2026-11-20 to 2026-11-21"
        with pytest.raises(BlockingIOError, match=f"pid {os.getpid()}, 2026-11-20 to"), alone(lake, (DAY, DAY)):
            pass
    with alone(lake, (DAY, DAY)):
        assert under_way(lake) == f"pid {os.getpid()}, 2026-11-20"
    assert under_way(lake) is None


def test_after_a_kill_the_next_night_waits_until_the_spark_of_the_first_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(night_lock, "ENDING_S", 0.0)
    holds = f"""import subprocess, sys, time; from datetime import date; from pathlib import Path
from foryou.lake.night_lock import alone
from foryou.lake.tables import Lake
with alone(Lake(Path({str(tmp_path)!r})), (date(2026, 11, 20),) * 2) as lock:
    spark = subprocess.Popen([sys.executable, "-c", "input()"], stdin=0, pass_fds=(lock,))
    print(spark.pid, flush=True)
    time.sleep(60)"""
    first = subprocess.Popen([sys.executable, "-c", holds], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline()
    with pytest.raises(BlockingIOError, match=f"pid {first.pid}, 2026-11-20"), alone(Lake(tmp_path), (DAY, DAY)):
        pass
    first.kill()
    first.wait()
    assert under_way(Lake(tmp_path)) == f"pid {first.pid}, 2026-11-20"
    threading.Timer(0.3, first.stdin.close).start()  # its Spark ends
    with alone(Lake(tmp_path), (DAY, DAY)):
        assert under_way(Lake(tmp_path)) == f"pid {os.getpid()}, 2026-11-20"
    first.stdout.close()


def test_a_night_does_not_begin_on_the_kafka_of_another_home(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as others:
        settings = Settings(home=tmp_path, ports={"kafka": others.getsockname()[1]})
        monkeypatch.setattr(nightly, "live_settings", lambda: settings)
        said = CliRunner().invoke(app, ["nightly", "--date", "2026-11-20"])
    assert said.exit_code == 1
    assert "is not this home's" in said.output
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("words", [("--date", "yesterday"), ("--from", "2026-11-20", "--to", "yesterday")])
def test_a_day_in_other_words_is_told_how_days_are_written(words):
    said = CliRunner().invoke(app, ["nightly", "--offline", *words], terminal_width=120)
    assert said.exit_code == 2
    assert "days are written YYYY-MM-DD, not yesterday" in said.output
    assert "time data" not in said.output
