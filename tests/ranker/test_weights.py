"""The published weights are whole, and each says what it multiplies."""

import re
import tomllib

import msgspec
import pytest
from foryou.ranker.weights import PATH, Weights


def test_every_weight_is_explained_where_it_stands():
    lines = PATH.read_text("utf-8").splitlines()
    for place, line in enumerate(lines):
        if re.match(r"[a-z_]+ = ", line):
            above = lines[place - 1] if lines[place - 1].startswith("[") else ""
            explained = "#" in line or (above and lines[place - 2].startswith("#"))
            assert explained or line.startswith(("version", "trending", "half_life", "velocity", "day", "categories")), line


def test_a_weight_that_is_missing_is_named(tmp_path):
    table = PATH.read_text("utf-8").replace("finish = 1.0", "finnish = 1.0")
    (tmp_path / "weights.toml").write_text(table, "utf-8")
    with pytest.raises(msgspec.ValidationError, match="finish"):
        Weights.load(tmp_path / "weights.toml")


def test_the_file_holds_nothing_that_is_not_used():
    table = tomllib.loads(PATH.read_text("utf-8"))
    assert msgspec.to_builtins(Weights.load()) == table
