"""Temporary files: a folder of its own for each part, under the home, emptied when the part starts.

What a killed process leaves in the system's folder stays there until somebody looks; here the next start removes it.
"""

import os
import shutil
from pathlib import Path

from foryou.local.home import Home
from foryou.local.process_id import marked


def emptied(home: Home, part: str) -> Path:
    """The part's folder, with nothing in it; while a process of the part lives, with all that is in it.

    Only who keeps others from starting the part may ask: the supervisor, a night, the holder of a submission. A link is
    removed and never followed. What cannot be removed stays. Raises OSError when the folder cannot be made.
    """
    folder = home.tmp / part
    for each in (home.tmp, folder):
        if each.is_symlink() or each.is_file():
            each.unlink()
        each.mkdir(parents=True, exist_ok=True)
    if not marked(home.root, part):
        empty(folder)
    return folder


def empty(folder: Path) -> None:
    """Removes what is in a folder, and of links in it the links alone. What cannot be removed stays."""
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            Path(entry.path).unlink(missing_ok=True)


def environ(home: Home, part: str) -> dict[str, str]:
    """What tells a process, but for a JVM, where its temporary files go."""
    return {"TMPDIR": str(home.tmp / part)}


def java_options(home: Home, part: str) -> tuple[str, str]:
    """What tells a JVM, which does not look at TMPDIR. Its counters for jstat lie in memory alone: in a file of the
    system's folder, that file's disk may stop the JVM."""
    return f"-Djava.io.tmpdir={home.tmp / part}", "-XX:+PerfDisableSharedMem"
