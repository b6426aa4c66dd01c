"""`foryou jobs submit`, up to Flink's own command."""

import subprocess

from typer.testing import CliRunner

from foryou.cli import jobs
from foryou.cli.app import app
from foryou.local.flink import Flink
from foryou.local.home import Home
from foryou.local.jdk import Jdk
from foryou.service.settings import Settings


def test_a_submission_by_hand_has_temporary_files_of_its_own_and_those_of_the_last_are_gone(tmp_path, monkeypatch):
    settings = Settings.load({"FORYOU_HOME": str(tmp_path / "home")})
    home, program = Home(settings.home), tmp_path / "mine.py"
    (tmp_path / "lib" / "python3.11" / "site-packages" / "pyflink").mkdir(parents=True)
    flink = Flink(settings, home, Jdk(tmp_path / "jdk", 17), tmp_path, tmp_path / "bin" / "python")
    program.touch()
    home.open()
    left = home.tmp / "submit-mine" / "pyflink"
    left.mkdir(parents=True)
    seen = []

    def run(command, *, env, **_):
        seen.append((env["TMPDIR"], env["JVM_ARGS"].split()[-2], left.exists()))
        return subprocess.CompletedProcess(command, 0, "submitted", "")

    monkeypatch.setattr(jobs, "_flink", lambda: flink)
    monkeypatch.setattr(jobs, "_asked", lambda console, flink: [])
    monkeypatch.setattr(subprocess, "run", run)
    assert CliRunner().invoke(app, ["jobs", "submit", str(program)]).exit_code == 0
    assert seen == [(str(left.parent), f"-Djava.io.tmpdir={left.parent}", False)]
