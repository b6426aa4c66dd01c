import os

import pytest

from foryou.local import checkpoints

FIRST, SECOND = "a" * 32, "b" * 32


@pytest.fixture
def write(tmp_path):
    clock = iter(range(1_000, 2_000))

    def write(name, complete=True, text="state"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "part").write_text("x")
        if complete:
            (folder / "_metadata").write_text(text)
            at = next(clock)
            os.utime(folder / "_metadata", (at, at))
        return folder

    return write


def test_a_job_that_never_ran_starts_from_nothing(tmp_path):
    assert checkpoints.restore_point(tmp_path / "features") is None
    assert checkpoints.restore_point(tmp_path) is None


def test_the_newest_complete_checkpoint_is_taken_not_the_highest_number(tmp_path, write):
    write(f"{FIRST}/chk-9")
    newest = write(f"{SECOND}/chk-2")
    assert checkpoints.restore_point(tmp_path) == newest


def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path, write):
    complete = write(f"{FIRST}/chk-3")
    write(f"{FIRST}/chk-4", complete=False)
    write(f"{FIRST}/chk-5", text="")
    assert checkpoints.restore_point(tmp_path) == complete


def test_a_newer_savepoint_wins_over_an_older_checkpoint(tmp_path, write):
    write(f"{FIRST}/chk-3")
    savepoint = write("savepoint-abc-1")
    assert checkpoints.restore_point(tmp_path) == savepoint


def test_an_earlier_run_is_dropped_once_the_new_one_has_a_checkpoint_of_its_own(tmp_path, write):
    write(f"{FIRST}/chk-3")
    savepoint = write("savepoint-abc-1")
    write(f"{SECOND}/chk-1")
    checkpoints.drop_older(tmp_path, SECOND)
    assert {path.name for path in tmp_path.iterdir()} == {SECOND, savepoint.name}


def test_an_earlier_run_stays_while_the_new_one_has_nothing_of_its_own(tmp_path, write):
    kept = write(f"{FIRST}/chk-3")
    write(f"{SECOND}/chk-1", complete=False)
    checkpoints.drop_older(tmp_path, SECOND)
    assert checkpoints.restore_point(tmp_path) == kept


def test_state_set_aside_is_kept_and_the_next_start_is_from_nothing(tmp_path, write):
    write(f"features/{FIRST}/chk-3")
    folder = tmp_path / "features"
    assert checkpoints.set_aside(folder) == tmp_path / "features.abandoned-1"
    assert checkpoints.restore_point(folder) is None
    write(f"features/{SECOND}/chk-1")
    assert checkpoints.set_aside(folder) == tmp_path / "features.abandoned-2"
    assert checkpoints.set_aside(folder) is None
