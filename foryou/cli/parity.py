"""`foryou parity`: what the night found when it compared the speed layer's tiles with its own."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from foryou.cli.stack import settings_or_exit
from foryou.lake.delta_files import DeltaUnreadable, live_files, read
from foryou.lake.parity_causes import CAUSES, MEANING, WRONG
from foryou.lake.tables import Lake

EXAMPLES = 3


@dataclass(frozen=True)
class Report:
    """A day's comparison: rows of gold/parity_summary, and some tiles (rows of gold/parity) that nobody explained."""

    day: date
    views: tuple[dict[str, Any], ...]
    wrong: tuple[dict[str, Any], ...]

    @property
    def good(self) -> bool:
        """Equal, or explained."""
        return not any(row[cause] for row in self.views for cause in WRONG)

    def total(self, column: str) -> int:
        """Of a column over all views."""
        return sum(row[column] for row in self.views)


def load(lake: Lake, day: date | None) -> Report | None:
    """The comparison of a day, or of the newest that was compared; None where there is none."""
    folder = Path(lake.gold("parity_summary"))
    try:
        days = sorted({file.partition["day"] or "" for file in live_files(folder)})
    except DeltaUnreadable:
        return None
    wanted = day.isoformat() if day else days[-1] if days else ""
    if wanted not in days:
        return None
    views = read(folder, days=(wanted, wanted)).sort_by("view").to_pylist()
    differing = read(Path(lake.gold("parity")), days=(wanted, wanted)).to_pylist()
    wrong = [row for row in differing if set(row["causes"]) & set(WRONG)]
    wrong.sort(key=lambda row: (row["view"], row["app_id"], row["entity"], row["tile_start"]))
    return Report(date.fromisoformat(wanted), tuple(views), tuple(wrong))


def parity(
    day: Annotated[
        str | None, typer.Option("--date", help="YYYY-MM-DD, UTC; else the newest compared", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Speed against batch, tile by tile: how many tiles differ, and why.

    Exit code 0: equal, or every difference has its cause; 2: code or unknown, which nobody has to live with; 1: the
    night has not compared that day.
    """
    console = Console()
    try:
        wanted = date.fromisoformat(day) if day else None
    except ValueError:
        raise typer.BadParameter(f"days are written YYYY-MM-DD, not {day}") from None
    found = load(Lake(settings_or_exit().home / "lake"), wanted)
    if found is None:
        console.print(f"The night has not compared {day or 'any day'} yet: `foryou nightly` does, with the stack up.")
        raise typer.Exit(1)
    if as_json:
        print(json.dumps({"day": found.day.isoformat(), "good": found.good, "views": found.views}))
    else:
        show(found, console)
    raise typer.Exit(0 if found.good else 2)


def show(found: Report, console: Console) -> None:
    """View by cause, and what to look at."""
    table = Table(title=f"Parity of {found.day}: tiles, speed against batch", title_justify="left")
    seen = [cause for cause in CAUSES if found.total(cause) or cause in WRONG]
    table.add_column("view")
    for name in ("compared", "different", *seen):
        table.add_column(name, justify="right", style="red" if name in WRONG and found.total(name) else None)
    for row in found.views:
        table.add_row(row["view"], *(f"{row[name]:,}" for name in ("compared", "different", *seen)))
    table.add_section()
    table.add_row("all", *(f"{found.total(name):,}" for name in ("compared", "different", *seen)))
    console.print(table)
    for cause in seen:
        if found.total(cause):
            console.print(f"  [bold]{cause}[/]: {MEANING[cause]}", highlight=False)
    for row in found.wrong[:EXAMPLES]:
        about = " ".join(str(row[name]) for name in ("view", "app_id", "entity", "facet", "tile_ms", "tile_start"))
        console.print(f"[red]{', '.join(row['causes'])}[/] {about}", highlight=False)
        console.print(f"  speed {row['speed']}\n  batch {row['batch']}", highlight=False, markup=False)
    if not found.total("different"):
        console.print("[green]Every tile is the same in both layers.[/]")
