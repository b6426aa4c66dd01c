"""Where the lake's tables lie, and how each is laid out. One place; the jobs and readers follow it."""

from dataclasses import dataclass
from pathlib import Path

from foryou.features.spec import View


@dataclass(frozen=True)
class Lake:
    """The folder of all Delta tables of one stack, `FORYOU_HOME/lake`."""

    root: Path

    @property
    def bronze(self) -> str:
        """Every record as it came: origin, topic, partition, offset, kafka_time, key, schema_id, value; by day."""
        return str(self.root / "bronze")

    @property
    def inbox(self) -> Path:
        """Where `foryou import` lays down history, one folder per import, in bronze's columns as Parquet."""
        return self.root / "inbox"

    @property
    def schemas(self) -> Path:
        """The writer schemas of bronze's values, `<schema_id>.avsc`: the lake is readable without the registry."""
        return self.root / "schemas"

    @property
    def events(self) -> str:
        """Silver: action and context events, decoded, one row per (app_id, event_id); by day of `time`."""
        return str(self.root / "silver" / "events")

    @property
    def content(self) -> str:
        """Silver: the catalogue's events, decoded, one row per (app_id, event_id)."""
        return str(self.root / "silver" / "content")

    @property
    def account(self) -> str:
        """Silver: the accounts' events, decoded, one row per (app_id, event_id)."""
        return str(self.root / "silver" / "account")

    @property
    def served(self) -> str:
        """Silver: feeds as they were served, one row per (app_id, request_id); by day of `served_at`."""
        return str(self.root / "silver" / "served")

    @property
    def unreadable(self) -> str:
        """Silver: where in bronze a record lies that could not be decoded, and why; by day."""
        return str(self.root / "silver" / "unreadable")

    @property
    def clean(self) -> str:
        """Silver: events blended with profiles, with the last word on relations and plays: the columns of clean.avsc
        but cancels_watch_ms (here nothing is withdrawn), nth (0 in a minute that a tile collects whole), late, flagged;
        by day of `time`."""
        return str(self.root / "silver" / "clean")

    @property
    def silver_checkpoint(self) -> Path:
        """How far silver has read bronze, as Spark's streams write it."""
        return self.root / "checkpoints" / "silver"

    @property
    def dirty(self) -> Path:
        """Marks of days whose clean rows and tiles must be made again."""
        return self.root / "dirty"

    @property
    def unpublished(self) -> Path:
        """Marks of days whose tiles the online store does not have yet."""
        return self.root / "unpublished"

    @property
    def published(self) -> Path:
        """What was last claimed in the online store's topics: the cut-off and the tiles' epoch, as JSON."""
        return self.root / "published.json"

    @property
    def made(self) -> Path:
        """Marks of days that were made again and that analytics does not have yet."""
        return self.root / "made"

    def tiles(self, view: View) -> str:
        """Gold: the tiles of a view, in the columns of its topic; by day of `tile_start`."""
        return str(self.root / "gold" / "tiles" / view.full_name)

    def gold(self, name: str) -> str:
        """Gold: any other result."""
        return str(self.root / "gold" / name)

    @property
    def runs(self) -> Path:
        """What each nightly run has done: its progress and its summary, as JSON."""
        return self.root / "runs"
