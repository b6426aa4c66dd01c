"""`foryou dlq`: what it is asked for must be something that there can be."""

import pytest
from typer.testing import CliRunner

from foryou.cli.app import app
from foryou.contract.reasons import REASONS


@pytest.mark.parametrize("command", [("list",), ("replay", "--all")])
def test_a_reason_that_no_letter_can_have_is_refused_with_those_that_they_have(command):
    said = CliRunner().invoke(app, ["dlq", *command, "--reason", "zzz"])
    words = " ".join(said.output.replace("│", " ").split())
    assert said.exit_code == 2 and "no letter has the reason zzz: there are" in words
    assert [reason for reason in REASONS if reason not in words] == []
