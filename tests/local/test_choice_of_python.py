"""Which Python the environments are made with: infra/local/python, with interpreters of a few words."""

import os
import subprocess

import pytest

from foryou.service.settings import REPO


@pytest.fixture
def choose(tmp_path):
    def asked(says: dict[str, str], **env: str) -> str:
        for name, answer in says.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\necho '{answer}'\n", "utf-8")
            path.chmod(0o755)
        named = {name: str(tmp_path / value) for name, value in env.items()}
        path = f"{tmp_path}{os.pathsep}/bin"
        ran = subprocess.run(
            [REPO / "infra" / "local" / "python"], env={"PATH": path, **named}, capture_output=True, text=True
        )
        return ran.stdout.strip() or ran.stderr

    return asked


def test_the_first_that_fits_is_taken(choose):
    assert choose({"python3": "3.11 quick", "python3.12": "3.12 quick"}) == "python3"
    assert choose({"python3": "3.9 quick"}) == "python3.12"
    assert choose({"python3": "3.12 bare"}) == "python3.12"


def test_one_that_was_built_without_optimisation_stands_back(choose):
    assert choose({"python3": "3.11 slow", "python3.12": "3.12 quick"}) == "python3.12"


def test_python_is_taken_as_it_is_but_for_its_version(choose, tmp_path):
    says = {"mine": "3.11 slow", "python3": "3.11 quick"}
    assert choose(says, PYTHON="mine") == str(tmp_path / "mine")
    assert choose({"mine": "3.13 quick"}, PYTHON="mine") == "python3"
