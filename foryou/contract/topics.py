"""Every topic, read once from `schemas/topics.toml`; tile topics follow from the definitions."""

import tomllib
from dataclasses import dataclass, replace

from foryou.contract.events import Lane
from foryou.contract.schemas import ROOT


@dataclass(frozen=True)
class Topic:
    """A topic: name, value schema, what its key is made of, and how long it keeps what it holds (-1: for ever)."""

    name: str
    schema: str
    key: tuple[str, ...]
    partitions: int
    retention_hours: int
    doc: str
    compacted: bool = False

    @property
    def subject(self) -> str:
        """The registry's subject of the value schema."""
        return f"{self.name}-value"

    @property
    def config(self) -> dict[str, str]:
        """Kafka's topic settings."""
        retention = -1 if self.retention_hours < 0 else self.retention_hours * 3_600_000
        cleanup = "delete" if not self.compacted else "compact" if retention < 0 else "compact,delete"
        return {"cleanup.policy": cleanup, "retention.ms": str(retention)}


def _load() -> dict[str, Topic]:
    table = tomllib.loads((ROOT / "topics.toml").read_text("utf-8"))
    return {
        name: Topic(
            name=name,
            schema=row["schema"],
            key=tuple(row["key"].split("|")),
            partitions=row["partitions"],
            retention_hours=row["retention_hours"],
            doc=row["doc"],
            compacted=row.get("compacted", False),
        )
        for name, row in table.items()
    }


TOPICS: dict[str, Topic] = _load()


REJECTED = "events.rejected.v1"
FLAGGED = "events.flagged.v1"
INTAKE = (*(lane.value for lane in Lane), FLAGGED, REJECTED)  # what the collector writes


def elsewhere(suffix: str) -> dict[str, Topic]:
    """The collector's topics under the names that they have for a residence with that suffix."""
    return {name + suffix: replace(TOPICS[name], name=name + suffix) for name in INTAKE}


def tile_topic(name: str, keep_hours: int, partitions: int = 4) -> Topic:
    """The topic of a tile view: keyed upserts, dropped when the store has dropped them too."""
    return Topic(name, "tile", ("app_id", "entity", "…"), partitions, keep_hours, "tiles of a view", compacted=True)
