"""The plan of a range, and where loading goes on."""

from foryou.analytics.loader.progress import Plan, Progress, ProgressFile, start
from foryou.analytics.loader.source import Held

PLAN = Plan("id", {0: (5, 8), 1: (0, 2)})


def test_what_is_saved_is_loaded(tmp_path):
    file = ProgressFile(tmp_path / "loader" / "t.json")
    assert file.load() == Progress()
    for progress in (Progress("id", {0: 5, 1: 0}, PLAN), Progress("id", {0: 8}, None)):
        file.save(progress)
        assert ProgressFile(tmp_path / "loader" / "t.json").load() == progress
    assert [path.name for path in (tmp_path / "loader").iterdir()] == ["t.json"]


def test_a_range_has_one_token_in_every_attempt():
    assert PLAN.token == Plan("id", {1: (0, 2), 0: (5, 8)}, staged=True).token == "id|0:5-8,1:0-2"
    assert Plan("other", PLAN.ranges).token != PLAN.token


def test_done_is_behind_the_plan():
    assert Progress("id", {0: 5, 1: 0, 2: 9}, PLAN).done() == Progress("id", {0: 8, 1: 2, 2: 9})


def test_a_new_topic_is_read_from_its_first_offset():
    assert start(Progress(), "id", {0: Held(3, 9)}) == (Progress("id", {0: 3}), [])


def test_it_goes_on_where_it_was_with_its_plan():
    held = {0: Held(0, 9), 1: Held(0, 9)}
    assert start(Progress("id", {0: 5, 1: 0}, PLAN), "id", held) == (Progress("id", {0: 5, 1: 0}, PLAN), [])


def test_another_topic_of_the_same_name_is_read_whole_without_the_old_plan():
    progress, remarks = start(Progress("old", {0: 5}, PLAN), "id", {0: Held(0, 9)})
    assert (progress, len(remarks)) == (Progress("id", {0: 0}), 1)


def test_what_expired_is_said_and_a_plan_that_cannot_be_read_again_is_given_up():
    progress, remarks = start(Progress("id", {0: 5, 1: 0}, PLAN), "id", {0: Held(7, 9), 1: Held(0, 9)})
    assert progress == Progress("id", {0: 7, 1: 0})
    assert remarks == ["[0]: 2 records expired before they were loaded"]


def test_a_topic_that_is_shorter_than_what_was_loaded_is_read_whole():
    progress, remarks = start(Progress("id", {0: 50}), "id", {0: Held(0, 9)})
    assert (progress.next, len(remarks)) == ({0: 0}, 1)
