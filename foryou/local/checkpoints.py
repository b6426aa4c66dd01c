"""Which checkpoint or savepoint a job goes on from.

A job writes to `<folder>/<flink job id>/chk-<n>/` and, when asked, to `<folder>/savepoint-…/`. Flink writes `_metadata`
last and under another name until it is whole: a folder that has it is complete, one without it is not.
"""

import shutil
from pathlib import Path


def restore_point(folder: Path) -> Path | None:
    """The newest complete checkpoint or savepoint; None when there is none."""
    complete = _complete(folder)
    return max(complete, key=lambda path: (path / "_metadata").stat().st_mtime_ns, default=None)


def drop_older(folder: Path, job_id: str) -> None:
    """Removes what earlier runs of the job left, once run `job_id` has a complete checkpoint of its own.

    Before that the new run still needs the files that it was restored from. Savepoints are people's, and stay.
    """
    if not any(path.parent.name == job_id for path in _complete(folder)):
        return
    for path in folder.iterdir():
        if _is_run(path) and path.name != job_id:
            shutil.rmtree(path, ignore_errors=True)


def set_aside(folder: Path) -> Path | None:
    """Moves everything away, so that the next start is from nothing. Returns where to; None if there was nothing."""
    if not folder.is_dir():
        return None
    number = 1
    while (target := folder.with_name(f"{folder.name}.abandoned-{number}")).exists():
        number += 1
    return folder.rename(target)


def _complete(folder: Path) -> list[Path]:
    found = [*folder.glob("*/chk-*/_metadata"), *folder.glob("savepoint-*/_metadata")]
    return [path.parent for path in found if path.stat().st_size > 0]


def _is_run(path: Path) -> bool:
    return path.is_dir() and len(path.name) == 32 and all(c in "0123456789abcdef" for c in path.name)
