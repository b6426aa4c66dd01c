import fcntl
import json
import os
import socket
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foryou.cli import demo, nightly, stack
from foryou.cli.app import app
from foryou.cli.doctor import examine
from foryou.cli.stack import report
from foryou.lake.night_lock import alone
from foryou.lake.tables import Lake
from foryou.local import install, state
from foryou.local.home import Home
from foryou.local.jdk import Jdk
from foryou.local.process_id import ProcessId
from foryou.local.state import PartState, StackState
from foryou.service.settings import Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    environ = {"FORYOU_HOME": str(tmp_path), "FORYOU_PORT_OFFSET": "4000"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    Home(tmp_path).open()
    return Settings.load(environ)


def foryou(*arguments):
    return CliRunner().invoke(app, list(arguments), prog_name="foryou")


def test_nothing_up_is_said_and_is_no_success(settings):
    said = foryou("status")
    assert (said.exit_code, said.output) == (1, "Down. `foryou up` starts it.\n")


def test_status_for_programs_has_every_address_and_the_write_key(settings):
    said = json.loads(foryou("status", "--json").output)
    assert said["ready"] is False
    assert said["addresses"]["kafka"] == "127.0.0.1:13092"
    assert said["addresses"]["registry"] == "http://127.0.0.1:12081/apis/ccompat/v7"
    assert said["addresses"]["collector"] == "http://127.0.0.1:12080"
    assert said["write_key"] in settings.secrets().write_keys


def test_status_names_the_addresses_with_tls_where_there_is_a_certificate(settings, tmp_path, monkeypatch):
    assert "collector_tls" not in json.loads(foryou("status", "--json").output)["addresses"]
    for name in ("CERT", "KEY"):
        (tmp_path / f"{name}.pem").touch()
        monkeypatch.setenv(f"FORYOU_TLS_{name}", str(tmp_path / f"{name}.pem"))
    assert json.loads(foryou("status", "--json").output)["addresses"]["collector_tls"] == "https://127.0.0.1:12443"


def test_a_gate_file_that_is_wrong_is_said_in_a_sentence(settings):
    (settings.home / "gate.toml").write_text("[device]\nper_second = 1\n")
    said = foryou("status")
    assert said.exit_code == 2 and "per_second" in said.output and "Traceback" not in said.output


def test_a_state_file_that_outlived_its_supervisor_is_not_believed(settings):
    parts = {"kafka": PartState("kafka", "", "", phase="healthy", pid=2**22 + 1, started=1)}
    now = StackState(str(settings.home), ProcessId(2**22 + 2, 1), 0, parts)
    state.save(Home(settings.home).state, now)
    assert report(settings, now, False)["parts"]["kafka"]["phase"] == "dead"
    assert report(settings, now, True)["parts"]["kafka"]["phase"] == "healthy"
    assert "The supervisor is gone" in foryou("status").output


@pytest.mark.parametrize("command", [("up",), ("nightly", "--offline")])
def test_a_java_home_that_is_passed_over_is_said(settings, monkeypatch, command):
    def fail(*_):
        raise nightly.StepFailed("no night")

    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setattr(stack, "find_jdk", lambda _: Jdk(Path("/jdk"), 17))
    monkeypatch.setattr(stack, "start", lambda *_: True)
    monkeypatch.setattr(stack, "watch", lambda *_: None)
    monkeypatch.setattr(nightly, "run", fail)
    assert "JAVA_HOME is /nowhere, where there is no JDK 17 or 21: /jdk is used." in foryou(*command).output


def test_down_with_nothing_up_is_no_error(settings):
    said = foryou("down")
    assert (said.exit_code, said.output) == (0, "Nothing was running.\n")


def test_down_says_which_night_is_left_running(settings):
    lake, day = Lake(settings.home / "lake"), date(2026, 11, 20)
    with alone(lake, (day, day)):
        said = foryou("down")
    assert said.output.startswith(f"A night is under way (pid {os.getpid()}, 2026-11-20) and goes on: its steps")
    assert foryou("down").output == "Nothing was running.\n"


@pytest.fixture
def on_port_9100(settings, monkeypatch):
    """A stack that is up, and was started with other ports than the settings say. None can be started."""
    for module in (stack, demo):
        monkeypatch.setattr(module, "start", None)
    home, ports = Home(settings.home), dict(Settings.load({"FORYOU_PORT_OFFSET": "100"}).ports)
    now = StackState(str(settings.home), ProcessId(2**22 + 2, 1), 0, {}, ports | {"ranker": 9100})
    state.save(home.state, now)
    with home.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


LIVE = [("up",), ("status", "--json"), ("ledger",), ("topics", "list"), ("events", "watch"), ("dlq", "list")]
LIVE += [("jobs", "list"), ("nightly",), ("simulate",), ("trace", "0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f"), ("demo",)]


@pytest.mark.parametrize("command", LIVE, ids=" ".join)
def test_a_stack_on_other_ports_is_told_and_nothing_is_asked_on_ours(settings, on_port_9100, command):
    said = foryou(*command)
    assert (said.exit_code, said.output) == (
        2,
        f"The stack of {settings.home} listens on other ports: it was started with FORYOU_PORT_OFFSET=100 "
        "FORYOU_PORT_RANKER=9100. Set exactly that, or end it with `foryou down` first.\n",
    )


def test_what_asks_no_stack_takes_any_ports(settings, on_port_9100):
    assert foryou("key", "ann").exit_code == 0
    assert "FORYOU_PORT_OFFSET=100" in {finding.what: finding for finding in examine(settings)}["ports"].remedy


def test_settings_that_are_no_numbers_are_said_in_one_sentence(settings, monkeypatch):
    monkeypatch.setenv("FORYOU_PORT_OFFSET", "many")
    said = foryou("status")
    assert said.exit_code == 2
    assert "are whole numbers" in said.output


@pytest.mark.parametrize("below", ["", "/home"])
def test_a_home_that_is_a_file_is_said_in_one_sentence(settings, monkeypatch, tmp_path, below):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FORYOU_HOME", f"{tmp_path}/file{below}")
    said = foryou("up")
    told = f"FORYOU_HOME is {tmp_path}/file{below}, and {tmp_path}/file is a file: set it to a folder\n"
    assert (said.exit_code, said.output) == (2, told)


def test_a_key_is_the_same_each_time_and_another_for_another_app(settings):
    first, again, other = foryou("key", "ann"), foryou("key", "ann"), foryou("key", "ann", "--app", "second")
    assert first.output == again.output != other.output
    assert first.output.startswith("uk_")
    assert foryou("key", "ann", "--device").output.startswith("dk_")


@pytest.mark.parametrize("command", [("topics", "list"), ("topics", "tail", "events.clean.v1"), ("jobs", "list")])
def test_a_command_that_needs_the_stack_says_how_to_start_it(settings, command):
    said = foryou(*command)
    assert said.exit_code == 1
    assert "`foryou up` starts it." in said.output


def test_the_doctor_names_a_taken_port_and_its_remedy(settings):
    with socket.socket() as held:
        held.bind(("127.0.0.1", settings.ports["store"]))
        held.listen()
        found = {finding.what: finding for finding in examine(settings)}
    port = found[f"port {settings.ports['store']} (store)"]
    assert "FORYOU_PORT_STORE" in port.remedy
    assert found["stack"].remedy == ""


def test_the_doctor_says_in_one_finding_what_is_not_installed(settings, monkeypatch, tmp_path):
    for name in ("spark", "flink"):  # an installation with nothing but the lists of two of its parts
        (tmp_path / f"infra/local/{name}").mkdir(parents=True)
        (tmp_path / f"infra/local/{name}/pom.xml").touch()
    steps = [step for step in install.steps(tmp_path) if step.name in ("spark jars", "flink jars")]
    monkeypatch.setattr(install, "steps", lambda _: steps)
    told = [finding for finding in examine(settings) if finding.remedy == "make install"]
    assert [finding.found for finding in told] == ["flink jars, spark jars: not installed, or older than the list"]


def test_the_doctor_says_that_the_stack_was_killed_and_what_brings_it_back(settings):
    gone = {
        name: PartState(name, "", "", "healthy", pid=2**22 + n, started=1) for n, name in enumerate(("kafka", "store"))
    }
    parts = gone | {"features": PartState("features", "", "", "healthy")}
    state.save(Home(settings.home).state, StackState(str(settings.home), ProcessId(2**22 + 2, 1), 0, parts))
    found = {finding.what: finding for finding in examine(settings)}
    assert found["stack"].found == "it was killed: 2 of 2 parts of the last run are gone"
    assert "`foryou up`" in found["stack"].remedy


def test_a_supervisor_that_ended_by_itself_was_not_killed(settings):
    parts = {"kafka": PartState("kafka", "", "", "stopped")}
    state.save(Home(settings.home).state, StackState(str(settings.home), ProcessId(2**22 + 2, 1), 0, parts))
    assert {finding.what: finding for finding in examine(settings)}["stack"].remedy == ""
