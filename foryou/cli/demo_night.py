"""The demo's night: some days of made-up history, imported; the night over them and today; what it wrote, and what
trends."""

import shutil
import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from foryou.cli.night_summary import summary
from foryou.cli.nightly import Spark, StepFailed, run, wrong
from foryou.lake import days
from foryou.lake.history import ImportFailed, Order, import_history
from foryou.lake.night import Night
from foryou.lake.night_lock import alone
from foryou.lake.parity_causes import CAUSES
from foryou.lake.sources import source
from foryou.lake.tables import Lake
from foryou.service.settings import Settings
from foryou.simulator.history import Plan, write_history

PAST_DAYS, PAST_PEOPLE = 5, 300
TOP = """
SELECT dimension, subject, events, people FROM top_trends
WHERE period = 'week' AND kind = 'popular' AND key = '' AND rank = 1 AND day = {day:Date}
ORDER BY dimension"""


def night(settings: Settings, videos: int, app_id: str, console: Console) -> bool:
    """Runs it and reports; False when a step failed, or when a difference between speed and batch has no known
    cause."""
    today = days.day_of(time.time_ns() // 1_000_000)
    first = today - timedelta(days=PAST_DAYS)
    told = f"over {PAST_DAYS + 1} days, {PAST_DAYS} of made-up history and today (`foryou nightly`):"
    console.print(f"\n[bold]The night[/] {told}")
    try:
        _past(settings, videos, app_id, today)
        span = first, today
        with alone(Lake(settings.home / "lake"), span) as lock:
            tonight = run(Spark(settings, offline=False, memory="2g", console=console, lock=lock), span)
    except (StepFailed, ImportFailed, BlockingIOError) as error:
        console.print(f"[red]the night stopped: {error}", highlight=False)
        console.print(left_out(error, first, today), highlight=False, soft_wrap=True)
        return False
    console.print(summary(tonight))
    console.print(parity_line(tonight))
    return show_trends(settings, today, console) and not wrong(tonight)


def left_out(error: Exception, first: date, today: date) -> str:
    """What a night that stopped has not shown, and how to get it."""
    what = "Left out: the night's summary, speed against batch, and what trends."
    if isinstance(error, ImportFailed):
        return f"{what} `foryou demo --night` makes the history again, and the night."
    return f"{what} `foryou nightly --from {first} --to {today}` goes on with the night, then `foryou parity`."


def _past(settings: Settings, videos: int, app_id: str, until: date) -> None:
    """History until the day before today, through the past's own door. A second demo of the day finds it there."""
    folder = settings.home / "report" / f"past-until-{until}"
    shutil.rmtree(folder, ignore_errors=True)
    plan = Plan(until_ms=days.start_of(until), weeks=PAST_DAYS / 7, people=PAST_PEOPLE, videos=videos, visits=2.0)
    write_history(folder, plan)
    # The catalogue is on the stack already: the demo published it.
    files = sorted(folder.glob("people.parquet")) + sorted(folder.glob("events-*.parquet"))
    order = Order(
        files=tuple(source(path, None) for path in files),
        app_id=app_id,
        clock_ms=time.time_ns() // 1_000_000,
    )
    import_history(Lake(settings.home / "lake"), settings.secrets().identity, order)
    shutil.rmtree(folder)


def parity_line(tonight: Night) -> str:
    """Speed against batch over all days of the night, in a few sentences."""
    wrote = tonight.done["parity"].wrote
    causes = {cause: wrote[cause] for cause in CAUSES if wrote.get(cause)}
    different, imported = wrote.get("different", 0), wrote.get("days_only_imported", 0)
    listed = ", ".join(f"{count:,} {cause}" for cause, count in causes.items())
    several = "; a tile can have several causes" if sum(causes.values()) > different else ""
    why = f" ({listed}{several})" if causes else ""
    told = [
        f"Speed against batch, {_days(wrote['days'])}: {wrote['rows']:,} tiles compared, {different:,} differ{why}."
    ]
    if imported:
        told.append(f"{_days(imported)} only imported: speed never saw {'them' if imported > 1 else 'it'}.")
    if left_out := wrote["days_left_out"]:
        told.append(
            f"{_days(left_out)} left out: nothing came in by the live door, or Kafka no longer holds all of it."
        )
    told.append("`foryou parity` shows one day, the newest, by view; `foryou parity --date D` any other.")
    return " ".join(told)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def show_trends(settings: Settings, day: date, console: Console) -> bool:
    """What ClickHouse says is popular, or a sentence; False when it cannot be asked."""
    try:
        rows, why = _top(settings, day), "it has none of the day"
    except ClickHouseError as error:
        rows, why = None, escape(f"{error}")
    if rows:
        console.print(trends_table(rows))
    else:
        again = f"`foryou nightly --date {day} --steps trends,analytics` hands them over again"
        console.print(f"[yellow]Left out: what trends, asked of ClickHouse: {why}. {again}.", highlight=False)
    return rows is not None


def _top(settings: Settings, day: date) -> Sequence[Sequence[Any]]:
    port = settings.ports["analytics"]
    client = clickhouse_connect.get_client(host=settings.host, port=port, username="analyst")
    rows: Sequence[Sequence[Any]] = client.query(TOP, parameters={"day": day}).result_rows
    return rows


def trends_table(rows: Sequence[Sequence[Any]]) -> Table:
    """The most popular of each dimension in the week."""
    table = Table(title="Most popular of the week, asked of ClickHouse by its stock client", title_justify="left")
    for name in ("", "most popular", "events", "people"):
        table.add_column(name, justify="right" if name in ("events", "people") else "left")
    for dimension, subject, events, people in rows:
        table.add_row(dimension, str(subject)[:40], f"{events:,}", f"{people:,}")
    return table
