"""The report of a demo: one value, shown as tables of at most 100 columns, as markdown and as JSON."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from foryou.cli.probes import Shown, TenLikes
from foryou.simulator.arms import LEARNT_PAGES, Arms, Enjoyment
from foryou.simulator.percentiles import Percentiles
from foryou.simulator.tally import Equation, Lanes, Others, Tally

WIDTH = 100


@dataclass(frozen=True)
class Latencies:
    """In ms. Freshness: from before the POST to the value read through Feast over HTTP by this process."""

    ack: Percentiles
    freshness: Percentiles
    feed: Percentiles


@dataclass(frozen=True)
class Report:
    """All that a demo found out."""

    command: str
    began: str  # UTC, ISO 8601
    seconds: dict[str, float]
    videos: int
    people: int
    visits: int
    pages: int
    watched: int
    counts: dict[str, int]
    books: list[Equation]
    latencies: Latencies
    fallbacks: dict[str, int]
    ten_likes: TenLikes
    arms: Arms
    memory_mb: dict[str, float]
    addresses: dict[str, str]
    trouble: list[str]  # must not happen
    warnings: list[str]  # may happen on a busy machine
    warm_up_s: float  # of the people's time, before latencies were taken
    others: Others  # events that somebody else posted meanwhile

    @property
    def good(self) -> bool:
        """Every equation holds, and nothing failed on the way."""
        return not self.trouble and all(each.holds for each in self.books)


def of_others(report: Report) -> list[str]:
    """A sentence, where there were any."""
    found = report.others
    if not found.events:
        return []
    came = "1 event of others came" if found.events == 1 else f"{found.events:,} events of others came"
    among = "they are counted in the equations that name them, and among clean, duplicate and late"
    return [f"{came} in meanwhile ({found.accepted:,} accepted, {found.rejected:,} rejected): {among}"]


def counts_of(tally: Tally, lanes: Lanes) -> dict[str, int]:
    """The six numbers of the ledger."""
    return {
        "sent": tally.sent,
        "accepted": tally.accepted,
        "clean": lanes.clean,
        "duplicate": lanes.duplicate,
        "late": lanes.late,
        "rejected": tally.rejected,
    }


def as_dict(report: Report) -> Any:
    """For JSON; says of each equation whether it holds."""
    plain = asdict(report)
    plain["books"] = [asdict(each) | {"holds": each.holds} for each in report.books]
    plain["good"] = report.good
    return _finite(plain)


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: what was never seen, or never measured, is null."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tables(report: Report) -> list[Table]:
    """The report's tables, in reading order."""
    return [_counts(report), _books(report), _latencies(report), _pages(report), _arms(report), _where(report)]


def report_console() -> Console:
    """A console that is wide enough for the tables where nobody says how wide it is: in a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def show(report: Report, console: Console) -> None:
    """Prints the report."""
    for table in tables(report):
        console.print()
        console.print(table, width=min(WIDTH, console.width))
    console.print()
    for line in of_others(report):
        console.print(f"  {line}", highlight=False)
    for line in report.trouble:
        console.print(f"[red]✗ {line}", highlight=False)
    for line in report.warnings:
        console.print(f"[yellow]! {line}", highlight=False)
    console.print("[green]✓ every equation holds" if report.good else "[red]✗ see above")


def save(report: Report, folder: Path) -> Path:
    """Writes report.json and report.md; the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(as_dict(report), indent=1, allow_nan=False) + "\n", "utf-8")
    text = [f"# foryou: a demo of {report.began}", "", f"Made by `{report.command}`.", ""]
    for table in tables(report):
        text += [f"## {table.title}", "", *_markdown(table), ""]
    text += [*(f"- {line}" for line in (*of_others(report), *report.trouble, *report.warnings)), ""]
    (folder / "report.md").write_text("\n".join(text), "utf-8")
    return folder / "report.md"


def _counts(report: Report) -> Table:
    table = _table(
        f"{report.people:,} people, {report.videos:,} videos: {report.visits:,} visits, {report.pages:,} pages, "
        f"{report.watched:,} videos watched"
    )
    for name in report.counts:
        table.add_column(f"events {name}" if name == "sent" else name, justify="right")
    table.add_row(*(f"{number:,}" for number in report.counts.values()))
    return table


def _books(report: Report) -> Table:
    table = _table("The books")
    table.add_column("equation")
    table.add_column("left", justify="right")
    table.add_column("right", justify="right")
    table.add_column("")
    for each in report.books:
        mark = Text("✓ holds", "green") if each.holds else Text(f"✗ off by {each.left - each.right:,}", "bold red")
        table.add_row(each.name, f"{each.left:,}", f"{each.right:,}", mark)
    return table


def _latencies(report: Report) -> Table:
    table = _table(f"Latencies, ms (without the first {report.warm_up_s:g} s, in which fresh JVMs compile)")
    for name in ("", "p50", "p90", "p99", "max", "measured"):
        table.add_column(name, justify="left" if not name else "right")
    rows = (
        ("POST → ack", report.latencies.ack),
        ("POST → new value read through Feast over HTTP", report.latencies.freshness),
        ("feed of 10", report.latencies.feed),
    )
    for name, found in rows:
        values = (found.p50, found.p90, found.p99, found.max)
        table.add_row(name, *(f"{value:,.1f}" for value in values), f"{found.count:,}")
    return table


def _pages(report: Report) -> Table:
    likes = report.ten_likes
    before, after = likes.share(likes.before), likes.share(likes.after)
    table = _table(
        f"A stranger's page before and after ten likes in “{likes.category}”: "
        f"{before} → {after} of {len(likes.after)}. "
        f"Feature visible after {likes.visible_ms:,.0f} ms, next page after {likes.page_ms:,.0f} ms"
    )
    for side in ("before", "after"):
        table.add_column(side, width=32, no_wrap=True, overflow="ellipsis")
        table.add_column("category", width=11, no_wrap=True, overflow="ellipsis")
    nothing = Shown("", "", "")
    for row in range(min(12, max(len(likes.before), len(likes.after)))):
        cells: list[Text] = []
        for page in (likes.before, likes.after):
            line = page[row] if row < len(page) else nothing
            style = "bold green" if line.category == likes.category else ""
            cells += [Text(line.title, style), Text(line.category, style)]
        table.add_row(*cells)
    return table


def _arms(report: Report) -> Table:
    table = _table("Simulated enjoyment, 0 to 1: the truth that the ranker never sees, same people in every arm")
    for name, justify in (("", "left"), ("mean ± s.e.", "right"), ("people", "right"), ("", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    arms = report.arms
    rows: tuple[tuple[str, Enjoyment, str], ...] = (
        ("our feed", arms.ours, "live, all pages"),
        ("  first pages", arms.ours_first_page, "of each person in this run"),
        (f"  from page {LEARNT_PAGES + 1} on", arms.ours_learnt, "of those who stayed so long"),
        ("popular videos", arms.popular, "most liked in this run, known before"),
        ("random videos", arms.random, ""),
    )
    for name, found, remark in rows:
        table.add_row(name, f"{found.mean:.3f} ± {found.error:.3f}", f"{found.people:,}", remark)
    return table


def _where(report: Report) -> Table:
    table = _table(f"The stack: {sum(report.memory_mb.values()) / 1_024:.2f} GiB resident")
    table.add_column("process")
    table.add_column("address")
    table.add_column("MiB", justify="right")
    for name in dict.fromkeys((*report.addresses, *report.memory_mb)):
        memory = report.memory_mb.get(name)
        table.add_row(name, report.addresses.get(name, ""), f"{memory:,.0f}" if memory is not None else "")
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", expand=False)


def _markdown(table: Table) -> list[str]:
    columns = [[str(cell).replace("|", "\\|") for cell in column.cells] for column in table.columns]
    header = [str(column.header) or " " for column in table.columns]
    rows = zip(*columns, strict=True)
    lines = [header, ["---"] * len(header), *([*row] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def next_steps() -> Group:
    """What to try while the stack is up."""
    return Group(
        Text("What to try next, in another shell:", "bold"),
        "  foryou status                            what runs, where it listens, the write key",
        "  foryou topics tail events.clean.v1       events as they are admitted, decoded",
        "  foryou trace <event_id>                  every hop of one of them",
        "  foryou simulate --people 500 --minutes 5",
    )
