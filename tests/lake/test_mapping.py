"""A mapping file: columns to fields, units, conditions, several events of one row; KuaiRand's two as shipped."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foryou.lake.mapping import load
from foryou.lake.sources import source
from foryou.lake.tables import Lake
from foryou.lake.terms import MappingWrong
from foryou.simulator.words import GENRE_OF_TAG

from .test_importing import IDENTITY, bring, decoded

ROOT = Path(__file__).parents[2]
KUAIRAND = ROOT / "data" / "kuairand_pure"
LOG = [
    "user_id",
    "video_id",
    "date",
    "hourmin",
    "time_ms",
    "is_click",
    "is_like",
    "is_follow",
    "is_comment",
    "is_forward",
    "is_hate",
    "long_view",
    "play_time_ms",
    "duration_ms",
    "profile_stay_time",
    "comment_stay_time",
    "is_profile_enter",
    "is_rand",
    "tab",
]
FLAGS = ("click", "like", "follow", "comment", "forward", "hate", "profile_enter")
SHORT = """
received_at = {column = "seen", unit = "s"}
[fields]
user_id = {column = "who", prefix = "p"}
video_id = "what"
event_time = {column = "at", unit = "s"}
[[events]]
event_type = "view_end"
fields.watch_ms = {column = "watched", unit = "s"}
[[events]]
event_type = "like"
when = [{column = "score", above = 3}, {column = "device", among = ["phone", "tv"]}]
fields.context.device = "device"
"""


def mapped(tmp_path, text=SHORT):
    (tmp_path / "m.toml").write_text(text, "utf-8")
    return load(tmp_path / "m.toml")


def test_one_row_becomes_several_events_under_conditions_with_units_and_its_own_receive_time(tmp_path):
    rows = [
        {"who": 1, "what": "v", "at": 1_790_000_000, "seen": 1_790_000_060, "watched": 2.5, "score": 4, "device": "tv"},
        {"who": 2, "what": "v", "at": 1_790_000_001, "seen": 1_790_000_061, "watched": 1.0, "score": 3, "device": "tv"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    lake = Lake(tmp_path / "lake")
    bring(lake, tmp_path / "a.parquet", mapping=mapped(tmp_path))
    assert [
        (e["event_type"], e["user_key"], e["watch_ms"], e["device_model"], e["event_time"], e["received_at"])
        for e in decoded(lake)
    ] == [
        ("view_end", IDENTITY.user_key("demo", "p1"), 2_500, None, 1_790_000_000_000, 1_790_000_060_000),
        ("like", IDENTITY.user_key("demo", "p1"), None, "tv", 1_790_000_000_000, 1_790_000_060_000),
        ("view_end", IDENTITY.user_key("demo", "p2"), 1_000, None, 1_790_000_001_000, 1_790_000_061_000),
    ]


def test_ndjson_goes_through_a_mapping_too(tmp_path):
    row = {"who": 1, "what": "v", "at": 1_790_000_000, "seen": 1_790_000_060, "watched": 2.5, "other": 1}
    (tmp_path / "a.ndjson").write_text(json.dumps(row) + "\nnot json\n")
    lake = Lake(tmp_path / "lake")
    told = bring(lake, tmp_path / "a.ndjson", mapping=mapped(tmp_path))
    assert (told.events, told.refused, told.rows) == (1, {"not_json": 1}, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[fields]\nuser = 'who'", "no field 'user'"),
        ("[fields]\nevent_type = 'a'", "nothing gives event_time"),
        ("[[events]]\nevent_type = 'levitate'", "no event type 'levitate'"),
        ("[fields]\nevent_time = {column = 'a', unit = 'days'}", "the unit 'days'"),
        ("[fields]\nevent_time = {colum = 'a'}", "event_time: say a column's name"),
        ("surprise = 1", "'surprise', which means nothing"),
        (SHORT.replace("above", "over"), "'over' is no condition"),
        (SHORT.replace('"what"', '{column = "what", lookup = "x.y"}'), r"no \[lookups.x\]"),
        ("not toml", "cannot be read as TOML"),
    ],
)
def test_a_wrong_mapping_says_where(tmp_path, text, says):
    with pytest.raises(MappingWrong, match=says) as wrong:
        mapped(tmp_path, text)
    assert str(wrong.value).startswith(f"{tmp_path / 'm.toml'}")


def test_a_mapping_that_is_not_there_is_said_to_be_missing(tmp_path):
    for path, says in ((tmp_path / "m.toml", ": there is no such file"), (tmp_path, " cannot be read: Is a directory")):
        with pytest.raises(MappingWrong) as wrong:
            load(path)
        assert str(wrong.value) == f"{path}{says}"


def test_a_lookup_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(MappingWrong) as wrong:
        mapped(tmp_path, SHORT + '[lookups.x]\nfile = "x.csv"\nkey = "id"\n')
    assert str(wrong.value) == f"{tmp_path / 'm.toml'}: [lookups.x]: there is no file {tmp_path / 'x.csv'}"


def test_a_lookup_with_a_quote_that_is_not_closed_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text('id,y\n1,"a\n2,b\n', "utf-8")
    with pytest.raises(MappingWrong, match=r"\[lookups.x\]: x.csv: .*: close each quote"):
        mapped(tmp_path, SHORT + '[lookups.x]\nfile = "x.csv"\nkey = "id"\n')


def log_row(**changes):
    quiet = dict.fromkeys(LOG, "0") | {"user_id": "3", "video_id": "0", "date": "20220411", "hourmin": "1200"}
    return quiet | {"time_ms": "1649649600000", "duration_ms": "87433", "tab": "1"} | changes


def write_log(path, *rows):
    with path.open("w", newline="") as out:
        table = csv.DictWriter(out, LOG)
        table.writeheader()
        table.writerows(rows)
    return path


def test_a_row_of_kuairands_log_becomes_what_the_document_says(tmp_path):
    everything = {
        f"is_{name}": "1" for name in ["click", "like", "follow", "comment", "forward", "hate", "profile_enter"]
    }
    path = write_log(
        tmp_path / "log.csv", log_row(), log_row(play_time_ms="1500"), log_row(play_time_ms="90000", **everything)
    )
    lake = Lake(tmp_path / "lake")
    told = bring(lake, path, mapping=load(KUAIRAND / "log_mapping.toml"))
    assert told.refused == {}
    events = decoded(lake)
    assert [e["event_type"] for e in events] == [
        *("impression", "impression", "view_end", "impression", "view_end"),
        *("like", "comment", "share", "not_interested", "profile_visit", "follow"),
    ]
    assert {e["user_key"] for e in events} == {IDENTITY.user_key("demo", "p3")}
    assert {e["video_id"] for e in events} == {"kr_0"}
    assert {e["event_time"] for e in events} == {e["received_at"] for e in events} == {1_649_649_600_000}
    assert (events[4]["watch_ms"], events[4]["duration_ms"]) == (90_000, 87_433)
    assert events[4]["properties"] == {"tab": "1", "is_rand": "0", "is_click": "1", "long_view": "0"}
    assert events[-1]["target_user_key"] == IDENTITY.user_key("demo", "a7349781")  # the author of video 0


def test_every_column_of_kuairands_log_is_read_or_named_as_ignored(tmp_path):
    told = bring(
        Lake(tmp_path / "lake"), write_log(tmp_path / "l.csv", log_row()), mapping=load(KUAIRAND / "log_mapping.toml")
    )
    assert told.ignored_columns == ["date", "hourmin", "profile_stay_time", "comment_stay_time"]
    document = (ROOT / "docs" / "importing.md").read_text("utf-8")
    assert [column for column in LOG if f"`{column}`" not in document] == []


def test_kuairands_videos_are_a_catalogue_but_for_those_without_a_duration(tmp_path):
    lake = Lake(tmp_path / "lake")
    told = bring(
        lake,
        KUAIRAND / "video_features_basic_pure.csv.gz",
        mapping=load(KUAIRAND / "video_mapping.toml"),
        rejects=tmp_path / "rejects.ndjson",
    )
    assert (told.accepted, told.refused) == ({"events.content.v1": 7_344}, {"missing_field duration_ms": 239})
    first = decoded(lake)[0]
    assert (first["video_id"], first["duration_ms"], first["published_at"]) == ("kr_0", 87_433, 1_649_548_800_000)
    assert first["category"] == GENRE_OF_TAG[39]


def test_kuairands_tags_have_the_simulators_names():
    (mapping,) = load(KUAIRAND / "video_mapping.toml").each
    (category,) = (term for term in mapping.terms if term.field == "category")
    assert category.table == {str(tag): name for tag, name in GENRE_OF_TAG.items()}


def test_a_file_without_the_mapped_columns_is_told_so(tmp_path):
    (tmp_path / "a.csv").write_text("who,what\n1,2\n")
    with pytest.raises(Exception, match="has no column 'at', 'device', 'score', 'seen', 'watched'; it has who, what"):
        bring(Lake(tmp_path / "lake"), tmp_path / "a.csv", mapping=mapped(tmp_path))
    assert source(tmp_path / "a.csv", None).names() == ["who", "what"]
