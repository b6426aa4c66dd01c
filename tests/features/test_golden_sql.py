"""The golden files are the specification that people review. Rewrite them with UPDATE_GOLDEN=1."""

import os
from pathlib import Path

import pytest

from foryou.features.compilers import spark
from foryou.features.compilers.flink import tile_select, tile_sink
from foryou.features.definitions import VIEWS

GOLDEN = Path(__file__).parent / "golden"


def assert_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text + "\n", "utf-8")
    assert path.read_text("utf-8") == text + "\n"


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_is_this_query_on_flink(view):
    assert_golden(f"{view.full_name}.flink.sql", tile_select(view, epoch=1))


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_is_this_topic_on_flink(view):
    assert_golden(f"{view.full_name}.sink.flink.sql", tile_sink(view, "kafka:9092", "http://registry/apis/ccompat/v7"))


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_is_this_query_on_spark(view):
    assert_golden(f"{view.full_name}.spark.sql", spark.tile_select(view))


def test_there_is_no_golden_file_without_a_view():
    assert {path.name.split(".")[0] for path in GOLDEN.iterdir()} == set(VIEWS)
