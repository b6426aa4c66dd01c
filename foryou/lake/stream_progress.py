"""How far a stream has read a Delta table: by its checkpoint and the table's log, without Spark."""

from __future__ import annotations

import json
from pathlib import Path

from foryou.lake.delta_files import DeltaFile, added_since


def unread(table: Path, checkpoint: Path) -> list[DeltaFile] | None:
    """The files that the stream has not taken yet, those of a commit that it took in part among them. None where
    nobody knows: there is no checkpoint, the stream is still in the version that it began with, or the log no longer
    goes back so far. Raises DeltaUnreadable for a table that is not there."""
    done = [int(path.name) for path in (checkpoint / "commits").glob("[0-9]*") if path.name.isdigit()]
    if not done:
        return None
    last = (checkpoint / "offsets" / str(max(done))).read_text("utf-8").splitlines()[-1]
    reached = json.loads(last)
    return None if reached["isStartingVersion"] else added_since(table, int(reached["reservoirVersion"]))
