"""Avro types as Flink SQL types."""

import pytest

from foryou.contract.schemas import ROOT, schema
from foryou.features.compilers.flink import FLINK, create_table, flink_columns, flink_type
from foryou.features.compilers.sql import to_sql


@pytest.mark.parametrize(
    ("avro", "flink"),
    [
        ("string", "STRING NOT NULL"),
        (["null", "long"], "BIGINT"),
        (["string", "null"], "STRING"),
        ({"type": "long", "logicalType": "x"}, "BIGINT NOT NULL"),
        ({"type": "map", "values": "string"}, "MAP<STRING NOT NULL, STRING NOT NULL> NOT NULL"),
        (["null", {"type": "array", "items": "int"}], "ARRAY<INT NOT NULL>"),
        (
            {"type": "record", "name": "R", "fields": [{"name": "time", "type": "long"}]},
            "ROW<`time` BIGINT NOT NULL> NOT NULL",
        ),
    ],
)
def test_an_avro_type_is_this_type_in_flink(avro, flink):
    assert flink_type(avro) == flink


@pytest.mark.parametrize("avro", [["null", "int", "string"], "duration"])
def test_what_flink_cannot_read_is_refused(avro):
    with pytest.raises(ValueError, match="Flink"):
        flink_type(avro)


@pytest.mark.parametrize("name", [path.stem for path in ROOT.glob("*.avsc")])
def test_flink_can_read_every_topic(name):
    assert [column for column, _ in flink_columns(schema(name))] == [f["name"] for f in schema(name)["fields"]]


def test_text_in_options_is_quoted():
    table = create_table("events.x.v1", [("time", "BIGINT NOT NULL")], ["time"], {"topic": "it's"})
    assert to_sql(table, FLINK) == (
        "CREATE TABLE `events.x.v1` (\n  `time` BIGINT NOT NULL,\n  PRIMARY KEY (`time`) NOT ENFORCED\n)\n"
        "WITH (\n  'topic' = 'it''s'\n)"
    )
