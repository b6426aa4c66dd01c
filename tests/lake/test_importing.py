"""The past's own door: the live door's checks, lasting ids, its own receive times, once."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from foryou.cli.app import app
from foryou.contract.codec import Decoder
from foryou.contract.gate import Gate
from foryou.contract.identity import Identity
from foryou.lake.history import Imported, ImportFailed, Order, import_history
from foryou.lake.sources import SourceUnreadable, source
from foryou.lake.tables import Lake
from foryou.simulator.history import Plan, write_history

NOW = 1_795_000_000_000
THREE_WEEKS_AGO = NOW - 21 * 86_400_000
IDENTITY = Identity(b"s" * 32)


def event(**changes):
    made = {"event_type": "like", "user_id": "u1", "video_id": "v1", "event_time": THREE_WEEKS_AGO, **changes}
    return {name: value for name, value in made.items() if value is not None}


def ndjson(folder, *events, name="events.ndjson"):
    path = folder / name
    path.write_text("".join((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in events), "utf-8")
    return path


def bring(lake, *paths, clock_ms=NOW, **more) -> Imported:
    order = Order(files=tuple(source(path, None) for path in paths), app_id="demo", clock_ms=clock_ms, **more)
    return import_history(lake, IDENTITY, order)


def bronze(lake):
    return [row for part in sorted(lake.inbox.glob("*/part-*.parquet")) for row in pq.read_table(part).to_pylist()]


def decoded(lake):
    decode = Decoder(lambda number: json.loads((lake.schemas / f"{number}.avsc").read_text("utf-8")))
    return [decode(row["value"]) for row in bronze(lake)]


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def test_a_row_becomes_the_record_that_the_live_door_would_have_made(lake, tmp_path):
    said = event(event_id="0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f", context={"region": "JP"}, properties={"a": "b"})
    bring(lake, ndjson(tmp_path, said))

    live = Gate(IDENTITY).check(json.dumps(said).encode(), "demo", THREE_WEEKS_AGO)
    (stored,) = decoded(lake)
    assert {name: value for name, value in stored.items() if value is not None} == {
        name: value for name, value in live.record.items() if value is not None
    }
    (row,) = bronze(lake)
    assert (row["origin"], row["partition"], row["offset"], row["key"]) == ("import", 0, 0, live.key)
    assert row["schema_id"] < 0
    assert row["kafka_time"] == THREE_WEEKS_AGO


def test_history_is_received_when_it_happened_unless_it_says_when(lake, tmp_path):
    bring(lake, ndjson(tmp_path, event(), event(received_at=THREE_WEEKS_AGO + 5_000)))
    assert [record["received_at"] for record in decoded(lake)] == [THREE_WEEKS_AGO, THREE_WEEKS_AGO + 5_000]
    assert [record["event_time"] for record in decoded(lake)] == [THREE_WEEKS_AGO] * 2


def test_what_is_still_to_come_is_not_history(lake, tmp_path):
    told = bring(lake, ndjson(tmp_path, event(event_time=NOW + 1), event(received_at=NOW + 1), event()))
    assert told.refused == {"time_out_of_range event_time": 1, "time_out_of_range received_at": 1}
    assert told.events == 1


@pytest.mark.parametrize("ahead_ms", [1, 30 * 86_400_000])
def test_what_is_still_to_come_is_told_in_words_of_the_import(lake, tmp_path, ahead_ms):
    told = bring(lake, ndjson(tmp_path, event(event_time=NOW + ahead_ms), event(received_at=NOW + ahead_ms)))
    assert [f"{refusal.detail}; {refusal.remedy}" for refusal in told.first_refusals] == [
        "event_time is still to come and there is no received_at; give received_at, or mend the clock of the source",
        "received_at is still to come; the past only: mend the column",
    ]


def test_parquet_ndjson_and_csv_of_the_same_rows_are_the_same_events(tmp_path):
    rows = [event(event_type="view_end", watch_ms=n, event_id=f"0190f7a2-7c3b-7d1e-9a5f-{n:012x}") for n in range(9)]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "a.parquet")
    pacsv.write_csv(table, tmp_path / "a.csv")
    found = []
    for number, path in enumerate((tmp_path / "a.parquet", tmp_path / "a.csv", ndjson(tmp_path, *rows))):
        lake = Lake(tmp_path / str(number))
        assert bring(lake, path).events == 9
        found.append(decoded(lake))
    assert found[0] == found[1] == found[2]


def test_parquet_keeps_structs_maps_lists_and_timestamps(lake, tmp_path):
    moment = datetime(2026, 10, 1, 12, tzinfo=UTC)
    kinds = pa.schema(
        [
            ("event_type", pa.string()),
            ("event_time", pa.timestamp("us", "UTC")),
            ("user_id", pa.int64()),
            ("video_id", pa.string()),
            ("context", pa.struct([("region", pa.string()), ("os", pa.string())])),
            ("consent", pa.struct([("ads", pa.bool_()), ("analytics", pa.bool_())])),
            ("properties", pa.map_(pa.string(), pa.string())),
        ]
    )
    row = {"event_type": "like", "event_time": moment, "user_id": 7, "video_id": "v", "context": {"region": "JP"}}
    row |= {"consent": {"ads": True}, "properties": [("tab", "1")]}
    pq.write_table(pa.Table.from_pylist([row], schema=kinds), tmp_path / "a.parquet")
    bring(lake, tmp_path / "a.parquet")

    (stored,) = decoded(lake)
    assert stored["event_time"] == int(moment.timestamp() * 1_000)
    assert stored["user_key"] == IDENTITY.user_key("demo", "7")
    assert (stored["region"], stored["os"], stored["consent"], stored["properties"]) == (
        "JP",
        None,
        "ads",
        {"tab": "1"},
    )


def test_bad_rows_are_counted_by_reason_and_field_and_kept_with_line_and_remedy(lake, tmp_path):
    path = ndjson(tmp_path, event(), "{", event(video_id=None), event(event_type="levitate"), event(watch_ms="much"))
    told = bring(lake, path)
    assert told.refused == {
        "not_json $": 1,
        "missing_field video_id": 1,
        "unknown_type event_type": 1,
        "wrong_type watch_ms": 1,
    }
    letters = [json.loads(line) for line in Path(told.rejects).read_text("utf-8").splitlines()]
    assert [letter["line"] for letter in letters] == [2, 3, 4, 5]
    assert all(letter["remedy"] and letter["body"] for letter in letters)
    assert [refusal.line for refusal in told.first_refusals] == [2, 3, 4, 5]


def test_a_csv_row_of_another_length_or_no_utf8_spoils_itself_only(lake, tmp_path):
    header = b"event_type,user_id,video_id,event_time\n"
    good = f"like,u,v,{THREE_WEEKS_AGO}\n".encode()
    (tmp_path / "a.csv").write_bytes(header + good + b"like,u\n" + b"like,\xff,v,1\n" + good)
    told = bring(lake, tmp_path / "a.csv")
    assert (told.events, told.refused, told.rows) == (2, {"not_csv": 2}, 4)


HEADER = "event_type,user_id,video_id,event_time,query\n"
ROW = f"like,u,v,{THREE_WEEKS_AGO},\n"
TEXT = ROW.replace(",\n", ',"two\nlines, and ""quotes"""\n')


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (HEADER + ROW + 'like,"u' + ROW[6:] + ROW * 9, 3),
        (HEADER + TEXT * 2 + 'like,"u' + ROW[6:] + ROW + 'like,"u"' + ROW[6:] + ROW, 6),
        (HEADER + ROW + 'like,"u' + ROW[6:] + ROW + 'like,u,v,1,"\n' + ROW, 3),
        (HEADER + ROW[:-1] + '"two\nlines","u\n' + ROW, 3),
        (HEADER + ROW + 'like,"u' + ROW[6:] + ROW * 9_999, 3),
        (HEADER + ROW + ROW[:-1] + '"', 3),
        (HEADER.replace("user_id", '"user_id') + ROW * 9, 1),
        (HEADER.replace("user_id", '"user_id') + 'like,"u"' + ROW[6:], 1),
    ],
    ids=["to the end", "to the next quote", "to a cell's end", "two", "long", "last line", "header", "header to next"],
)
@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_a_quote_that_is_not_closed_swallows_no_rows_but_is_refused_with_its_line(lake, tmp_path, body, line, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(gzip.compress(body.encode()) if suffix.endswith("gz") else body.encode())
    with pytest.raises(SourceUnreadable, match=rf"^a\.{suffix}:{line}: a quote opens here .* close it") as refused:
        bring(lake, path)
    assert "Nothing is imported" in str(refused.value)
    assert not list(lake.root.rglob("*.parquet"))


def test_what_quotes_may_hold_is_taken_and_what_stands_behind_one_spoils_its_row_only(lake, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + TEXT + ROW.replace("v", 'v 12"') + 'like,"u"s,v,1,\n' + ROW[:-1] + "\r\n" + TEXT, "utf-8")
    told = bring(lake, path)
    assert (told.events, told.refused, told.first_refusals[0].line) == (4, {"not_csv": 1}, 5)
    text = 'two\nlines, and "quotes"'
    assert [record["query"] for record in decoded(lake)] == [text, None, None, text]


def test_the_same_import_twice_is_a_no_op_that_says_so(lake, tmp_path):
    path = ndjson(tmp_path, event(), event(user_id="u2"))
    first = bring(lake, path)
    before = bronze(lake)
    again = bring(lake, path, clock_ms=NOW + 86_400_000)
    assert (first.repeated, again.repeated) == (False, True)
    assert (again.import_id, again.accepted) == (first.import_id, first.accepted)
    assert bronze(lake) == before


def test_it_is_a_no_op_even_when_the_night_has_cleared_the_inbox(lake, tmp_path):
    path = ndjson(tmp_path, event())
    told = bring(lake, path)
    for file in (lake.inbox / told.import_id).iterdir():
        file.unlink()
    (lake.inbox / told.import_id).rmdir()
    assert bring(lake, path).repeated
    assert bronze(lake) == []


def test_events_without_an_id_get_the_same_one_in_every_stack(tmp_path):
    path = ndjson(tmp_path, event(), event())
    ids = []
    for name in ("one", "two"):
        lake = Lake(tmp_path / name)
        bring(lake, path, name="spring")
        ids.append([record["event_id"] for record in decoded(lake)])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_a_name_stands_for_one_content(lake, tmp_path):
    bring(lake, ndjson(tmp_path, event()), name="spring")
    with pytest.raises(ImportFailed, match="another --name"):
        bring(lake, ndjson(tmp_path, event(user_id="u2")), name="spring")


def test_a_file_that_is_named_twice_is_refused(lake, tmp_path):
    path = ndjson(tmp_path, event())
    (tmp_path / "link.ndjson").symlink_to(path)
    with pytest.raises(ImportFailed, match="is named 2 times"):
        bring(lake, path, tmp_path / "link.ndjson")
    assert bronze(lake) == []
    assert bring(lake, path, ndjson(tmp_path, event(), name="another.ndjson")).events == 2


def test_a_column_of_receive_times_that_no_line_has_is_refused(lake, tmp_path):
    path = ndjson(tmp_path, event(), event(logged=THREE_WEEKS_AGO + 5_000))
    with pytest.raises(ImportFailed, match="has 'nope'; they have event_type, user_id"):
        bring(lake, path, received_at="nope")
    assert bronze(lake) == []
    bring(lake, path, received_at="logged")
    assert [record["received_at"] for record in decoded(lake)] == [THREE_WEEKS_AGO, THREE_WEEKS_AGO + 5_000]


def test_strict_takes_all_or_nothing(lake, tmp_path):
    told = bring(lake, ndjson(tmp_path, event(), event(video_id=None)), strict=True)
    assert sum(told.refused.values()) == 1
    assert not list(lake.inbox.glob("*"))


def test_a_broken_off_import_leaves_no_folder(lake, tmp_path):
    pq.write_table(pa.Table.from_pylist([event()] * 10), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceUnreadable):
        bring(lake, tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert not list(lake.root.rglob("*.parquet"))


def test_videos_and_people_go_to_their_own_lanes(lake, tmp_path):
    video = {"video_id": "v", "creator_id": "c", "duration_ms": 9_000, "category": "cats", "published_at": NOW - 9}
    told = bring(lake, ndjson(tmp_path, video), kind="videos")
    people = ndjson(tmp_path, {"user_id": "u", "region": "JP", "event_time": NOW - 9}, name="p.ndjson")
    assert told.accepted == {"events.content.v1": 1}
    assert bring(lake, people, kind="people").accepted == {"events.account.v1": 1}
    assert {row["topic"].rsplit(".", 1)[0] for row in bronze(lake)} == {
        "import.events.content.v1",
        "import.events.account.v1",
    }


def test_no_kafka_is_needed_imported_or_opened(tmp_path):
    path = ndjson(tmp_path, event())
    script = f"""
import socket, sys
def no(*args, **kwargs): raise AssertionError("a socket was opened")
socket.socket.connect = no
socket.create_connection = no
from pathlib import Path
from foryou.contract.identity import Identity
from foryou.lake.history import Order, import_history
from foryou.lake.sources import source
from foryou.lake.tables import Lake
order = Order((source(Path({str(path)!r}), None),), "demo", {NOW})
print(import_history(Lake(Path({str(tmp_path / "lake")!r})), Identity(b"s" * 32), order).events)
print([name for name in sys.modules if "kafka" in name.lower()])
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["1", "[]"]


def test_a_simulated_history_is_taken_whole(lake, tmp_path):
    until_ms = NOW // 86_400_000 * 86_400_000
    history = write_history(tmp_path / "past", Plan(until_ms, weeks=2 / 7, people=20, videos=8_000))
    assert bring(lake, history.folder / "videos.parquet", history.folder / "people.parquet").refused == {}
    told = bring(lake, *sorted(history.folder.glob("events-*.parquet")))
    assert (told.events, told.refused) == (history.events, {})
    assert told.ignored_columns == []


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home" / "secrets"
    folder.mkdir(parents=True)
    (folder / "identity.key").write_text((b"s" * 32).hex())
    (folder / "write_keys.json").write_text('{"k": {"app_id": "demo"}}')
    monkeypatch.setenv("FORYOU_HOME", str(folder.parent))
    return folder.parent


def told(*words):
    return CliRunner().invoke(app, ["import", *map(str, words)], prog_name="foryou", terminal_width=200)


def test_the_command_says_what_it_took_what_not_and_what_is_next(home, tmp_path):
    said = told(ndjson(tmp_path, event(), event(video_id=None)))
    assert said.exit_code == 0, said.output
    assert "missing_field video_id" in said.output
    assert "events.ndjson:2: missing_field" in said.output
    assert "foryou nightly --from 2026-10-" in said.output
    assert "Already imported" in told(tmp_path / "events.ndjson").output


def test_the_command_fails_when_nothing_was_taken_or_strict(home, tmp_path):
    assert told(ndjson(tmp_path, event(video_id=None), name="a.ndjson")).exit_code == 1
    assert told(ndjson(tmp_path, event(), event(video_id=None), name="b.ndjson"), "--strict").exit_code == 1


def test_the_command_needs_the_secrets_of_a_stack_and_an_app_of_it(home, tmp_path):
    path = ndjson(tmp_path, event())
    assert "no app 'other'" in told(path, "--app", "other").output
    (home / "secrets" / "identity.key").unlink()
    said = told(path)
    assert said.exit_code == 1
    assert "secrets/identity.key" in said.output


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("semicolons.csv", b"event_type;event_time;user_id\nlike;1;u\n", "no column of semicolons.csv"),
        ("strange.csv", b"a,b\n1,2\n", "it has 'a', 'b'"),
        ("excel.csv", "event_type,event_time\nlike,1\n".encode("utf-16"), "excel.csv"),
        ("plain.csv.gz", b"event_type,event_time\nlike,1\n", "cannot be read to its end"),
        ("cut.csv.gz", gzip.compress(b"event_type,event_time\nlike,1\n" * 999)[:60], "cannot be read to its end"),
        ("cut.ndjson.gz", gzip.compress(b'{"event_type":"like"}\n' * 999)[:40], "cannot be read to its end"),
    ],
    ids=["semicolons", "strange", "utf-16", "not packed", "cut csv", "cut ndjson"],
)
def test_a_file_that_is_no_history_is_a_sentence(home, tmp_path, name, body, said):
    (tmp_path / name).write_bytes(body)
    result = told(tmp_path / name)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert said in result.output.replace("\n", " ")


def test_a_parquet_file_with_damaged_pages_is_a_sentence(home, tmp_path):
    path = tmp_path / "damaged.parquet"
    pq.write_table(pa.table({"event_type": ["like"] * 9_999, "event_time": list(range(9_999))}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    result = told(path)
    assert isinstance(result.exception, SystemExit) and "damaged.parquet cannot be read to its end" in result.output


def test_rows_without_a_field_of_ours_are_refused_one_by_one(home, tmp_path):
    (tmp_path / "other.ndjson").write_text('{"a": 1}\n{"a": 2}\n', "utf-8")
    result = told(tmp_path / "other.ndjson", "--received-at", "now")
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "other.ndjson:1: missing_field" in result.output and "other.ndjson:2: missing_field" in result.output
