"""Temporary files lie in the home, a folder for each part, and nothing of them outlives the part's next start."""

import os
import subprocess
import sys

import pytest

from foryou.cli.doctor import examine
from foryou.local import lifecycle, temporary
from foryou.local.home import Home
from foryou.local.lifecycle import CannotStart, start
from foryou.local.process_id import marks
from foryou.service.settings import Settings


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.open()
    return home


def left_by(home, part):
    """What a killed process leaves: a file, and a folder with a file."""
    folder = home.tmp / part
    (folder / "blockmgr-1").mkdir(parents=True)
    (folder / "blockmgr-1" / "shuffle").write_text("rows")
    (folder / "snappy.so").write_text("code")
    return folder


def test_what_a_killed_part_left_is_gone_and_what_others_have_is_not(home):
    folder, other = left_by(home, "kafka"), left_by(home, "nightly")
    assert temporary.emptied(home, "kafka") == folder
    assert list(folder.iterdir()) == []
    assert {path.name for path in other.iterdir()} == {"blockmgr-1", "snappy.so"}


def test_a_folder_that_was_never_there_is_made(home):
    home.tmp.rmdir()
    assert list(temporary.emptied(home, "kafka").iterdir()) == []


def test_files_of_a_living_part_stay(home):
    folder = left_by(home, "kafka")
    alive = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        env={**os.environ, **marks(home.root, "kafka")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    alive.stdout.readline()  # only then is it no longer this process's copy
    temporary.emptied(home, "kafka")
    assert {path.name for path in folder.iterdir()} == {"blockmgr-1", "snappy.so"}
    alive.communicate()
    temporary.emptied(home, "kafka")
    assert list(folder.iterdir()) == []


def test_links_are_removed_and_never_followed(home, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    folder = left_by(home, "kafka")
    (folder / "link").symlink_to(precious)
    (folder / "blockmgr-1" / "link").symlink_to(precious)
    (folder / "file").symlink_to(precious / "file")
    temporary.emptied(home, "kafka")
    assert list(folder.iterdir()) == []
    assert (precious / "file").read_text() == "kept"


@pytest.mark.parametrize("which", ["tmp", "tmp/kafka"])
def test_a_folder_that_is_itself_a_link_is_made_anew(home, tmp_path, which):
    precious = tmp_path / "precious"
    (precious / "kafka").mkdir(parents=True)
    (precious / "file").write_text("kept")
    (precious / "kafka" / "file").write_text("kept")
    link = home.root / which
    if link.is_dir():
        link.rmdir()
    link.symlink_to(precious)
    assert list(temporary.emptied(home, "kafka").iterdir()) == []
    assert not link.is_symlink()
    assert (precious / "file").read_text() == (precious / "kafka" / "file").read_text() == "kept"


def test_a_home_from_which_no_library_can_be_loaded_is_said_before_anything_starts(tmp_path, monkeypatch):
    found = os.statvfs(tmp_path)
    fields = [*found[:8], found.f_flag | os.ST_NOEXEC, *found[9:]]
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(fields))
    monkeypatch.setattr(lifecycle, "check_installed", lambda *_: pytest.fail("it would have started"))
    settings = Settings.load({"FORYOU_HOME": str(tmp_path / "home")})
    with pytest.raises(CannotStart, match="mounted noexec"):
        start(settings, {})
    said = next(each for each in examine(settings) if each.what == "data folder")
    assert "mounted noexec" in said.remedy
