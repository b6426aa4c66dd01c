"""The published weights are whole, and each says what it multiplies."""

import re
import tomllib

import msgspec
import pytest

from foryou.ranker.weights import PATH, Weights


def test_every_weight_is_explained_where_it_stands():
    weights = [line for line in PATH.read_text("utf-8").splitlines() if re.match(r"[a-z_]+ = [-0-9]", line)]
    assert [line for line in weights if "#" not in line] == []


def test_a_weight_that_is_missing_is_named(tmp_path):
    table = PATH.read_text("utf-8").replace("finish = 1.0", "finnish = 1.0")
    (tmp_path / "weights.toml").write_text(table, "utf-8")
    with pytest.raises(msgspec.ValidationError, match="finish"):
        Weights.load(tmp_path / "weights.toml")


def test_the_file_holds_nothing_that_is_not_used():
    table = tomllib.loads(PATH.read_text("utf-8"))
    assert msgspec.to_builtins(Weights.load()) == table
