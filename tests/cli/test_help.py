import subprocess
import sys

import pytest
from typer.testing import CliRunner

from foryou.cli.app import COMMANDS, app, load

run = CliRunner().invoke


def test_help_names_every_command_with_its_line():
    said = run(app, ["--help"], prog_name="foryou", terminal_width=140).output
    for command in COMMANDS:
        assert command.name in said
        assert command.help[:40] in said


def test_help_imports_no_part_of_the_stack():
    script = (
        "import sys; from foryou.cli.app import app; sys.argv[1:] = ['--help']\ntry: app()\nexcept SystemExit: pass\n"
    )
    script += (
        "print([m for m in ('confluent_kafka', 'feast', 'numpy', 'httpx', 'foryou.cli.demo') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_command_loads_and_explains_itself(command):
    assert load(command).name == command.name
    said = run(app, [command.name, "--help"], prog_name="foryou")
    assert said.exit_code == 0, said.output
    assert f"foryou {command.name}" in said.output


def test_an_unknown_command_is_an_error_not_a_traceback():
    said = run(app, ["upp"], prog_name="foryou")
    assert said.exit_code == 2
    assert "No such command" in said.output
