"""What the supervisor says about the stack, as a file: `home/run/state.json`."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from foryou.local.home import write_whole
from foryou.local.process_id import ProcessId

Phase = Literal["waiting", "starting", "healthy", "unhealthy", "restarting", "stopping", "stopped"]


@dataclass(frozen=True)
class PartState:
    """One process, or one Flink job, of the stack."""

    name: str
    doc: str
    address: str
    phase: Phase = "waiting"
    waiting_for: str = ""
    pid: int | None = None
    started: int | None = None
    since_ms: int = 0
    restarts: int = 0
    log: str = ""

    @property
    def process(self) -> ProcessId | None:
        """Its process, None for a job and for what is not running."""
        return ProcessId(self.pid, self.started) if self.pid is not None and self.started is not None else None


@dataclass(frozen=True)
class StackState:
    """The whole stack. `started_ms` is when `foryou up` began, UTC ms; `ports` is empty if an older version did."""

    home: str
    supervisor: ProcessId
    started_ms: int
    parts: dict[str, PartState] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """True when every part is healthy."""
        return bool(self.parts) and all(part.phase == "healthy" for part in self.parts.values())

    def with_part(self, part: PartState) -> "StackState":
        """The same with one part replaced."""
        return replace(self, parts=self.parts | {part.name: part})


def save(path: Path, state: StackState) -> None:
    """Writes the file in one step."""
    write_whole(path, json.dumps(asdict(state), indent=1) + "\n")


def load(path: Path) -> StackState | None:
    """Reads the file; None when there is none, or when it is not one of this version's."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        parts = {name: PartState(**part) for name, part in raw.pop("parts").items()}
        return StackState(**(raw | {"supervisor": ProcessId(**raw["supervisor"]), "parts": parts}))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
