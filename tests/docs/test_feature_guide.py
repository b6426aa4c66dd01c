"""The guide in docs/features.md, followed: its own code blocks end in values that the oracle confirms."""

import re
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from foryou.contract.topics import TOPICS
from foryou.features import merge, oracle
from foryou.features import operations as operations_of_ours
from foryou.features.compilers.avro import tile_schema
from foryou.features.compilers.feast import feast_fields
from foryou.features.compilers.flink import tile_select, tile_sink
from foryou.features.definitions import VIEWS
from foryou.features.operations import DAY, HOUR
from foryou.features.spec import BadDefinition, Feature, View
from foryou.features.testing import START, stream

GUIDE = Path(__file__).parents[2] / "docs" / "features.md"


def code(language, holding):
    """The guide's code block that holds a text."""
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```$", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if holding in block]
    return dedent(block)


def new_view() -> View:
    """Step 1: the new file, run as it stands."""
    scope = {}
    exec(code("python", "VIDEO_VISITS"), scope)  # noqa: S102 - the guide's code is what is tested
    return scope["VIDEO_VISITS"]


def visits():
    """Step 4's generated events, with profile visits among them."""
    events = stream(seed=1, events=3_000)
    return [e | {"event_type": "profile_visit"} if e["event_type"] == "play_start" else e for e in events]


def test_a_reading_of_measures_that_are_there_is_one_line_and_changes_no_tile():
    scope = {name: getattr(operations_of_ours, name) for name in ("WindowSum", "DAY", "MINUTE")} | {"Feature": Feature}
    (feature,) = eval(f"({code('python', 'watch_ms_24h').strip()})", scope)
    before = VIEWS["user_activity_v1"]
    after = replace(before, features=(*before.features, feature))
    assert tile_select(after, epoch=1) == tile_select(before, epoch=1)
    assert tile_schema(after) == tile_schema(before)
    clean = oracle.admit(stream(seed=2, events=2_000), DAY).clean
    now = max(event["time"] for event in clean)
    for entity, row in oracle.tiles(after, clean).items():
        assert merge.read(after, row, now) == oracle.features(after, clean, entity, now)


def test_what_is_wrong_with_a_definition_is_said_when_it_is_made():
    view = new_view()
    with pytest.raises(BadDefinition, match="kept for as long"):
        replace(view, tiles=(replace(view.tiles[0], keep=HOUR),))


def test_a_new_view_is_a_file_and_everything_else_follows_from_it():
    view = new_view()
    assert view.full_name not in VIEWS and view.topic not in TOPICS
    assert "'profile_visit'" in tile_select(view, epoch=1)
    assert f"`{view.topic}`" in tile_sink(view, "kafka:9092", "http://registry")
    assert [field["name"] for field in tile_schema(view)["fields"]][-1] == "visits"
    assert [field.name for field in feast_fields(view)] == ["visits_24h"]


def test_the_new_feature_is_what_the_oracle_says():
    view = new_view()
    clean = oracle.admit(visits(), DAY).clean
    for now in (START + HOUR, START + 5 * HOUR, max(event["time"] for event in clean)):
        for entity, row in oracle.tiles(view, clean).items():
            assert merge.read(view, row, now) == oracle.features(view, clean, entity, now)
    assert any(merge.read(view, row, now)["visits_24h"] for row in oracle.tiles(view, clean).values())


def test_the_files_and_commands_that_the_guide_names_are_there():
    text = GUIDE.read_text("utf-8")
    assert (
        "UPDATE_GOLDEN=1" in text
        and "UPDATE_GOLDEN" in (GUIDE.parents[1] / "tests/features/test_golden_sql.py").read_text()
    )
    assert 'feature_view(VIEWS["video_visits_v1"], app, video)' in code("python", "video_visits_v1")
    for feature in (feature.name for view in VIEWS.values() for feature in view.features):
        assert f"`{feature}`" in text, f"{feature} is not in the guide's tables"
