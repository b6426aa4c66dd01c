"""`foryou topics list`: every topic, and no line wider than a terminal."""

from rich.console import Console
from typer.testing import CliRunner

from foryou.cli import topics
from foryou.cli.app import app
from foryou.contract.residence import elsewhere
from foryou.local.kafka import all_topics


def shown(width, held, declared=None):
    console = Console(width=width)
    with console.capture() as said:
        console.print(topics.listing(held, declared or all_topics()))
    return [line.rstrip() for line in said.get().splitlines()]


def test_80_columns_are_enough_for_every_name_and_number():
    lines = shown(80, dict.fromkeys(all_topics(), (16, 1_234_567_890)))
    assert max(map(len, lines)) <= 80
    assert [line.split()[:3] for line in lines if line.startswith(("events.clean", "features.video_eng"))] == [
        ["events.clean.v1", "16", "1,234,567,890"],
        ["features.video_engagement.v1", "16", "1,234,567,890"],
    ]


def test_a_topic_that_is_missing_and_one_that_is_not_ours_are_told():
    held = dict.fromkeys(all_topics(), (4, 7)) | {"mine": (1, 2)}
    del held["relations.v1"]
    lines = shown(100, held)
    assert next(line for line in lines if line.startswith("relations.v1")).split()[1] == "missing"
    assert lines[-1].split() == ["mine", "1", "2", "not", "ours"]


def test_a_residence_in_this_cluster_has_topics_that_are_ours():
    declared = all_topics() | elsewhere(".eu")
    told = [line.split()[-2:] for line in shown(100, dict.fromkeys(declared, (4, 7)), declared)]
    assert ["not", "ours"] not in told


def test_in_a_pipe_it_is_100_columns_wide(tmp_path, monkeypatch):
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    monkeypatch.setattr(topics, "reach", lambda *_: None)
    monkeypatch.setattr(topics, "_held", lambda _: dict.fromkeys(all_topics(), (4, 1_234_567)))
    said = CliRunner().invoke(app, ["topics", "list"], prog_name="foryou")
    assert max(len(line.rstrip()) for line in said.output.splitlines()) <= 100
