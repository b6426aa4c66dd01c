"""`foryou parity`: what the night found when it compared the speed layer's tiles with its own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from foryou.cli.night_summary import utc
from foryou.cli.stack import settings_or_exit
from foryou.lake.delta_files import DeltaUnreadable, live_files, read
from foryou.lake.parity_causes import CAUSES, MEANING, WRONG
from foryou.lake.parity_days import left_out_so_far
from foryou.lake.tables import Lake

EXAMPLES = 3
SEVERAL = "A tile can have several causes: they add up to more than the tiles that differ."
IN_CLICKHOUSE = "ClickHouse's table parity leaves out people who refuse analytics."


@dataclass(frozen=True)
class Report:
    """A day's comparison: rows of gold/parity_summary, and the tiles (rows of gold/parity) that nobody explained.
    others: the other days that there are, in order."""

    day: date
    views: tuple[dict[str, Any], ...]
    wrong: tuple[dict[str, Any], ...]
    others: tuple[date, ...] = ()

    @property
    def good(self) -> bool:
        """Equal, or explained."""
        return not any(row[cause] for row in self.views for cause in WRONG)

    @property
    def only_imported(self) -> bool:
        """Whether the speed layer never saw this day."""
        return any(row.get("only_imported") for row in self.views)

    def total(self, column: str) -> int:
        """Of a column over all views."""
        return sum(row[column] for row in self.views)


def load(lake: Lake, day: date | None) -> Report | None:
    """The comparison of a day, or of the newest that there is; None where there is none."""
    folder = Path(lake.gold("parity_summary"))
    try:
        days = sorted({file.partition["day"] or "" for file in live_files(folder)})
    except DeltaUnreadable:
        return None
    wanted = day.isoformat() if day else days[-1] if days else ""
    if wanted not in days:
        return None
    views = read(folder, days=(wanted, wanted)).sort_by("view").to_pylist()
    differing: list[dict[str, Any]] = []
    if any(row["different"] for row in views):  # a lake of nothing but history has no table of differences
        differing = read(Path(lake.gold("parity")), days=(wanted, wanted)).to_pylist()
    wrong = [row for row in differing if set(row["causes"]) & set(WRONG)]
    wrong.sort(key=lambda row: (row["view"], row["app_id"], row["entity"], row["tile_start"]))
    others = tuple(date.fromisoformat(each) for each in days if each != wanted)
    return Report(date.fromisoformat(wanted), tuple(views), tuple(wrong), others)


def parity(
    day: Annotated[
        str | None, typer.Option("--date", help="YYYY-MM-DD, UTC; else the newest compared", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Speed against batch, tile by tile: how many tiles of one day differ, and why.

    Exit code 0: equal, or every difference has its cause, or the day was only imported and the speed layer never saw
    it; 2: code or unknown, which nobody has to live with; 1: the night has not compared that day, or could not.
    """
    console = Console()
    try:
        wanted = date.fromisoformat(day) if day else None
    except ValueError:
        raise typer.BadParameter(f"days are written YYYY-MM-DD, not {day}") from None
    lake = Lake(settings_or_exit().home / "lake")
    found = load(lake, wanted)
    if found is None:
        console.print(why_not(lake, wanted), highlight=False, soft_wrap=True)
        raise typer.Exit(1)
    if as_json:
        told = {"day": found.day.isoformat(), "good": found.good, "only_imported": found.only_imported}
        others = [day.isoformat() for day in found.others]
        print(json.dumps({**told, "views": found.views, "other_days": others}))
    else:
        show(found, console)
    raise typer.Exit(0 if found.good else 2)


def why_not(lake: Lake, day: date | None) -> str:
    """Why there is no comparison of a day, or of any: it is still to be made, or the night left the day out."""
    left_out = left_out_so_far(lake.runs)
    about = day or max(left_out, default=None)
    if about is None or about not in left_out:
        return f"The night has not compared {day or 'any day'} yet: `foryou nightly` does, with the stack up."
    return f"{about} cannot be compared: {left_out[about]}."


def show(found: Report, console: Console) -> None:
    """View by cause, and what to look at."""
    if found.only_imported:
        told = f"Speed never saw {found.day}: only imported."
        more = " Compared is only what came of it by the live door, and came late." if found.total("compared") else ""
        console.print(told + more, highlight=False)
    if found.total("compared"):
        console.print(by_view(found))
        if sum(found.total(cause) for cause in CAUSES) > found.total("different"):
            console.print(SEVERAL)
    elif not found.only_imported:
        console.print(f"Neither layer has a tile of {found.day}: nothing was compared.", highlight=False)
    for cause in CAUSES:
        if found.total(cause):
            console.print(f"  [bold]{cause}[/]: {MEANING[cause]}", highlight=False)
    for row in found.wrong[:EXAMPLES]:
        about = " ".join(str(row[name]) for name in ("view", "app_id", "entity", "facet"))
        about += f", {row['tile_ms'] // 1_000} s from {utc(row['tile_start'])} UTC"
        console.print(f"[red]{', '.join(row['causes'])}[/] {about}", highlight=False)
        console.print(f"  speed {row['speed']}\n  batch {row['batch']}", highlight=False, markup=False)
    if found.total("compared") and not found.total("different"):
        console.print("[green]Every tile is the same in both layers.[/]")
    if found.total("different"):
        console.print(f"[dim]{IN_CLICKHOUSE}[/]", highlight=False, soft_wrap=True)
    if found.others:
        first, last = found.others[0], found.others[-1]
        which = f"{first}" if first == last else f"{len(found.others)} from {first} to {last}"
        console.print(f"One day is shown. Others: {which} (`foryou parity --date {last}`).", highlight=False)


def by_view(found: Report) -> Table:
    """How many tiles of each view differ, and why."""
    table = Table(title=f"Parity of {found.day}: tiles, speed against batch", title_justify="left")
    table.add_column("view", no_wrap=True)
    table.add_column("compared", justify="right", no_wrap=True)
    table.add_column("different", justify="right", no_wrap=True)
    table.add_column("because of")
    for row in found.views:
        table.add_row(row["view"], f"{row['compared']:,}", f"{row['different']:,}", because(row))
    table.add_section()
    every = {name: found.total(name) for name in ("compared", "different", *CAUSES)}
    table.add_row("all", f"{every['compared']:,}", f"{every['different']:,}", because(every))
    return table


def because(counted: Mapping[str, int]) -> str:
    """The causes with their tiles, a line each; what nobody has to live with in red."""
    told = [(f"{counted[cause]:,} {cause}", cause in WRONG) for cause in CAUSES if counted.get(cause)]
    return "\n".join(f"[red]{text}[/]" if wrong else text for text, wrong in told)
