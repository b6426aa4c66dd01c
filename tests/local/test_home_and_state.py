import json
import threading
from dataclasses import replace

import pytest

from foryou.local import state
from foryou.local.board import Board
from foryou.local.home import Home, HomeUnusable, epoch, next_epoch
from foryou.local.process_id import ProcessId
from foryou.local.state import PartState, StackState

STACK = StackState(
    "/somewhere",
    ProcessId(7, 70),
    1_000,
    {
        "kafka": PartState("kafka", "the broker", "127.0.0.1:9092", phase="healthy", pid=8, started=80),
        "features": PartState("features", "the job", "http://127.0.0.1:8082"),
    },
    {"kafka": 9092},
)


def test_state_is_read_back_as_it_was_written(tmp_path):
    state.save(tmp_path / "state.json", STACK)
    assert state.load(tmp_path / "state.json") == STACK


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"parts": {"kafka": {"nonsense": 1}}}', '{"parts": []}'])
def test_a_state_file_that_is_not_ours_is_no_state(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    assert state.load(tmp_path / "state.json") is None


def test_the_state_of_an_older_version_has_no_ports(tmp_path):
    state.save(tmp_path / "state.json", STACK)
    text = json.loads((tmp_path / "state.json").read_text())
    del text["ports"]
    (tmp_path / "state.json").write_text(json.dumps(text))
    assert state.load(tmp_path / "state.json") == replace(STACK, ports={})


def test_no_state_file_is_no_state(tmp_path):
    assert state.load(tmp_path / "state.json") is None


def test_a_stack_is_ready_when_every_part_is_healthy():
    assert not STACK.ready
    assert STACK.with_part(PartState("features", "the job", "", phase="healthy")).ready
    assert not StackState("/somewhere", ProcessId(7, 70), 1_000).ready


def test_a_part_has_a_process_only_while_one_is_known():
    assert STACK.parts["kafka"].process == ProcessId(8, 80)
    assert STACK.parts["features"].process is None


def test_each_change_is_in_the_file_and_a_new_phase_starts_its_clock(tmp_path):
    board = Board(tmp_path / "state.json", STACK, now_ms=lambda: 5_000)
    board.set("features", phase="starting", waiting_for="its submission")
    written = state.load(tmp_path / "state.json")
    assert written == board.now
    assert (written.parts["features"].phase, written.parts["features"].since_ms) == ("starting", 5_000)


def test_the_board_says_what_is_missing_and_wakes_who_waits(tmp_path):
    board = Board(tmp_path / "state.json", STACK, now_ms=lambda: 5_000)
    assert board.missing(["kafka", "features"]) == ["features"]
    assert board.wait_while(lambda now: not now.ready, timeout_s=0.01) is False
    threading.Timer(0.05, lambda: board.set("features", phase="healthy")).start()
    assert board.wait_while(lambda now: not now.ready, timeout_s=5) is True


def test_a_new_home_is_stamped_and_opens_again(tmp_path):
    home = Home(tmp_path / "new")
    home.open()
    assert (home.root / "VERSION").read_text() == "1\n"
    home.open()


@pytest.mark.parametrize(("stamp", "said"), [("2", "has layout 2 and this version reads 1"), ("hello", "'hello'")])
def test_a_home_of_another_version_is_refused_in_words(tmp_path, stamp, said):
    (tmp_path / "VERSION").write_text(stamp)
    with pytest.raises(HomeUnusable, match=said):
        Home(tmp_path).open()


def test_a_blank_in_the_path_is_said_in_words(tmp_path, monkeypatch):
    with pytest.raises(HomeUnusable, match=r"a blank in it.*: set FORYOU_HOME to another"):
        Home(tmp_path / "my home").open()
    assert not (tmp_path / "my home").exists()
    monkeypatch.setattr("foryou.local.home.REPO", tmp_path / "my code")
    with pytest.raises(HomeUnusable, match=r"my code.*: move the checkout"):
        Home(tmp_path).open()


def test_a_full_disk_is_said_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr("foryou.local.home.NEEDED_BYTES", 10**18)
    with pytest.raises(HomeUnusable, match=r"GB free and the stack needs .* GB"):
        Home(tmp_path).open()


def test_a_file_where_the_folder_should_be_is_said_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match="set FORYOU_HOME to another"):
        Home(tmp_path / "file").open()


def test_epochs_count_up_from_one(tmp_path):
    assert epoch(tmp_path / "features") == 0
    assert [next_epoch(tmp_path / "features"), next_epoch(tmp_path / "features")] == [1, 2]
    assert epoch(tmp_path / "features") == 2
    assert json.loads((tmp_path / "features" / "epoch.json").read_text()) == {"epoch": 2}
