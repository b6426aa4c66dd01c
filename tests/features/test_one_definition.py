"""A feature is written once: a view defined here goes through everything, and nobody aggregates on the side."""

import ast
import re
from pathlib import Path

import fastavro
import pytest

from foryou.features import merge, oracle
from foryou.features.compilers.avro import tile_schema
from foryou.features.compilers.feast import feast_fields
from foryou.features.compilers.flink import tile_select, tile_sink
from foryou.features.operations import DAY, HOUR, MINUTE, Count, Latest, SecondsSince, SessionSum, Total, WindowSum
from foryou.features.spec import Feature, Measure, Resolution, View
from foryou.features.testing import stream

ROOT = Path(__file__).parents[2]

COMMENTS = View(
    name="comments",
    version=1,
    owner="the reader of this test",
    doc="What docs say about adding a feature: this, and no more.",
    entity="user_key",
    tiles=(Resolution(MINUTE, keep=DAY),),
    measures=(
        Measure("comments", Count("event_type = 'comment'"), "comments written"),
        Measure("seen_ms", Total("video_duration_ms", "event_type = 'impression'"), "length of what was shown, ms"),
        Measure("commented", Latest("event_type = 'comment'"), "time of the newest, UTC ms"),
    ),
    features=(
        Feature("comments_1h", "int64", WindowSum("comments", HOUR, MINUTE), "comments of the last hour"),
        Feature("comments_session", "int64", SessionSum("comments"), "comments in the open session"),
        Feature(
            "seen_ms_1h", "int64", WindowSum("seen_ms", HOUR, MINUTE), "length of what was shown in the last hour, ms"
        ),
        Feature("seconds_since_comment", "float64", SecondsSince("commented"), "seconds since the last comment"),
    ),
)


def test_a_new_view_needs_its_definition_and_nothing_else():
    assert "features.comments.v1" in tile_sink(COMMENTS, "kafka:9092", "http://registry")
    assert "AS `comments`" in tile_select(COMMENTS, epoch=1)
    assert [field.name for field in feast_fields(COMMENTS)] == [f.name for f in COMMENTS.features]

    clean = oracle.admit(stream(seed=5, events=2000), DAY).clean
    now = max(row["time"] for row in clean if row["event_type"] == "comment")
    found = {}
    for entity, tiles in oracle.tiles(COMMENTS, clean).items():
        row = {}
        for key, state in tiles.items():
            through_the_topic = _as_record(entity, key, state)
            assert fastavro.validate(through_the_topic, tile_schema(COMMENTS))
            assert merge.put(row, *merge.tile(COMMENTS, through_the_topic))
        found[entity] = merge.read(COMMENTS, merge.decode(COMMENTS, merge.encode(row)), now)
    assert found == {entity: oracle.features(COMMENTS, clean, entity, now) for entity in found}
    assert any(features["comments_session"] for features in found.values())


def _as_record(entity, key, state):
    _, tile_ms, tile_start, salt = key
    return {
        "app_id": entity[0], "user_key": entity[1], "salt": salt, "tile_ms": tile_ms, "tile_start": tile_start,
        "epoch": state.epoch, "n": state.n, "first_ms": state.first_ms, "last_ms": state.last_ms,
        **dict(zip(("comments", "seen_ms", "commented"), state.measures, strict=True)),
    }  # fmt: skip


# An aggregate over a window of arrival (… OVER …) counts copies or finds the newest word: admission, not a feature.
_AGGREGATE = re.compile(
    r"\b(?:SUM|COUNT|AVG|MIN|MAX|ARRAY_AGG|LISTAGG)\s*\((?:[^()]|\([^()]*\))*\)(?!\s*OVER)", re.IGNORECASE
)
_SQL = re.compile(r"\bSELECT\b.*\bFROM\b", re.IGNORECASE | re.DOTALL)


def aggregates(path):
    text = path.read_text("utf-8")
    queries = [re.sub(r"--.*", "", text)] if path.suffix == ".sql" else filter(_SQL.search, strings_in(text))
    return [found.group() for query in queries for found in _AGGREGATE.finditer(query)]


def strings_in(python):
    for node in ast.walk(ast.parse(python)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


# What the night, analysts and the ledger count (trends, rollups, parity, bots) are reports: no model reads them.
REPORTS = (ROOT / "foryou" / "lake", ROOT / "foryou" / "analytics", ROOT / "foryou" / "cli" / "ledger.py")
SOURCES = [
    path
    for top in ("foryou", "jobs")
    for ending in ("*.py", "*.sql")
    for path in (ROOT / top).rglob(ending)
    if not any(path.is_relative_to(folder) for folder in REPORTS)
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_aggregate_is_written_outside_a_definition(path):
    assert aggregates(path) == []


def test_the_search_for_aggregates_finds_one(tmp_path):
    (tmp_path / "job.py").write_text('query = f"SELECT user_key, SUM({column}) AS w FROM clean GROUP BY user_key"')
    (tmp_path / "job.sql").write_text("SELECT COUNT(*) OVER w, MAX(LEAST(a, b)) FROM t WINDOW w AS (ORDER BY a)")
    assert aggregates(tmp_path / "job.py") == ["SUM(x)"]
    assert aggregates(tmp_path / "job.sql") == ["MAX(LEAST(a, b))"]
