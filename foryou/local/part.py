"""What a part of the stack is, as data. The supervisor knows nothing of Kafka or Flink; a part says it all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Check = Callable[[], str | None]
"""Asks a part how it is. None: healthy; else what it waits for, in words."""


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Part:
    """A process: how it starts, when it is healthy, what it needs before.

    `prepare` runs before each start, `settle` after it answers and before others may use it; both must be safe to run
    again. A part that is `bound_to` another ends and starts again with it. `log` is the file that people read,
    `console` takes what the process prints; they may be the same. Where processors are short, a part goes first that
    is `waited_for`: an event that waits in the log or in Kafka is safe, a person who waits goes away.
    """

    name: str
    doc: str
    address: str
    argv: tuple[str, ...]
    check: Check
    log: Path
    console: Path
    needs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = _nothing
    settle: Callable[[], None] = _nothing
    bound_to: str | None = None
    grace_s: float = 6.0
    cwd: Path | None = None
    waited_for: bool = False


@dataclass(frozen=True)
class Job:
    """A Flink job: submitted, asked after, and submitted again when it is gone. It has no process of its own."""

    name: str
    doc: str
    address: str
    needs: tuple[str, ...]
    find: Callable[[], "Running | None"]
    submission: Callable[[], tuple[str, ...]]
    env: Mapping[str, str]
    log: Path
    hold: Path
    tidy: Callable[["Running"], None] = lambda _: None
    checkpoint_age_s: Callable[[], float | None] = lambda: None


@dataclass(frozen=True)
class Running:
    """A job as Flink knows it: its id, Flink's word for its state, and whether all its tasks run."""

    job_id: str
    state: str
    all_tasks_run: bool
