"""`foryou simulate`: the commands that it prints can be copied, and it says how few videos there can be."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foryou.cli.app import app
from foryou.cli.simulate import imports_of
from foryou.simulator.catalogue import LEAST
from foryou.simulator.kuairand import real_videos


def test_a_history_in_a_folder_with_spaces_is_imported_by_the_line_that_is_printed():
    line = imports_of(Path("/my home/past"))
    videos, people, events = (f"/my home/past/{name}.parquet" for name in ("videos", "people", "events-*"))
    assert shlex.split(line) == ["foryou", "import", videos, people, "&&", "foryou", "import", events]
    assert line.endswith("'/events-*.parquet")  # the shell's to unfold


@pytest.mark.parametrize("command", [("simulate",), ("simulate", "catalogue"), ("simulate", "history"), ("demo",)])
def test_how_few_videos_there_can_be_is_in_the_help_and_in_the_refusal(tmp_path, command):
    def said(*words):
        result = CliRunner().invoke(app, [*command, *words], prog_name="foryou", terminal_width=200)
        return result.exit_code, " ".join(result.output.replace("│", " ").split())

    needed = ("--until", "2026-11-21", "--out", str(tmp_path / "past")) if command[-1] == "history" else ()
    assert "x>=7583" in said("--help")[1]
    code, told = said(*needed, "--videos", "7582")
    assert code == 2 and "greater than or equal to 7583" in told
    assert not (tmp_path / "past").exists()


def test_the_fewest_videos_are_kuairands_own():
    assert len(real_videos()) == LEAST == 7_583
