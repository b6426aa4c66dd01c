"""`foryou import`: the past's own door. Files of history into the lake's inbox, by the same checks as live events."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from foryou.cli.stack import settings_or_exit
from foryou.lake.history import Imported, ImportFailed, Order, import_history
from foryou.lake.mapping import KINDS, load
from foryou.lake.sources import SourceUnreadable, source
from foryou.lake.tables import Lake
from foryou.lake.terms import MappingWrong
from foryou.service.settings import Secrets, Settings


def import_(
    files: Annotated[list[Path], typer.Argument(help="Parquet, NDJSON or CSV (.gz too)", show_default=False)],
    mapping: Annotated[
        Path | None, typer.Option(help="TOML: which column gives which field", show_default=False)
    ] = None,
    app: Annotated[str, typer.Option(help="the app that the history belongs to")] = "demo",
    kind: Annotated[str, typer.Option(help="events, videos or people: the type where rows name none")] = "events",
    name: Annotated[
        str | None, typer.Option(help="names the import; else its content does", show_default=False)
    ] = None,
    received_at: Annotated[
        str | None, typer.Option(help="a column, or 'now'; else received_at or the event's time", show_default=False)
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="parquet, ndjson, csv; else by suffix", show_default=False)
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="where refused rows go; else beside the first file", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="one refused row, and nothing is imported")] = False,
) -> None:
    """Brings history into the lake, with its own receive times.

    Every row passes the checks of the live door. Nothing goes to Kafka, so nothing live moves: the next
    nightly run takes it from the inbox. Needs this stack's secrets (FORYOU_HOME/secrets): ids become the
    same keys as live ones. The same import twice is a no-op. Exit code 1: nothing was taken.
    """
    console = Console(stderr=False)
    settings = settings_or_exit()
    begin = time.perf_counter()
    try:
        if kind not in KINDS:
            raise ImportFailed(f"there is no kind {kind!r}: say {', '.join(KINDS)}")
        secrets = _secrets(settings, app)
        order = Order(
            files=tuple(source(path, file_format) for path in files),
            app_id=app,
            clock_ms=time.time_ns() // 1_000_000,
            kind=kind,
            mapping=load(mapping) if mapping is not None else None,
            name=name,
            received_at=received_at,
            strict=strict,
            rejects=rejects,
        )
        with _bar(console) as progress:
            bar = progress.add_task("import", total=sum(file.path.stat().st_size for file in order.files))
            imported = import_history(
                Lake(settings.home / "lake"),
                secrets.identity,
                order,
                lambda consumed: progress.update(bar, completed=consumed),
                never_stored=settings.gate().never_stored.rules(),
            )
    except (ImportFailed, SourceUnreadable, MappingWrong) as error:
        console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error
    _tell(console, imported, strict, time.perf_counter() - begin)
    if not imported.events or (strict and imported.refused):
        raise typer.Exit(1)


def _secrets(settings: Settings, app: str) -> Secrets:
    if not (settings.home / "secrets" / "identity.key").is_file():
        raise ImportFailed(
            f"{settings.home} has no secrets/identity.key: ids must become the keys of the history's own stack. "
            "Set FORYOU_HOME to it, or run foryou up once."
        )
    try:
        secrets = settings.secrets()
    except OSError as error:
        raise ImportFailed(f"the secrets in {settings.home} cannot be read: {error.strerror}") from error
    apps = secrets.apps()
    if app not in apps:
        raise ImportFailed(f"there is no app {app!r} here: say --app {' or '.join(apps)}")
    return secrets


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _tell(console: Console, imported: Imported, strict: bool, seconds: float) -> None:
    if imported.repeated:
        console.print(
            f"Already imported as {imported.import_id} ({imported.events:,} events): nothing was written.",
            soft_wrap=True,
        )
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in _lines(imported):
        table.add_row(name, f"{value:,}")
    console.print(table)
    for refusal in imported.first_refusals:
        field = f" {refusal.field}:" if refusal.field else ""
        told = f"{refusal.file}:{refusal.line}: {refusal.reason}:{field} {refusal.detail}; {refusal.remedy}"
        console.print(f"[yellow]{escape(told[:300])}", soft_wrap=True, highlight=False)
    if imported.rejects:
        console.print(f"Every refused row with its reason: {imported.rejects}", soft_wrap=True, highlight=False)
    if imported.ignored_columns:
        console.print(f"Columns that nothing reads: {escape(', '.join(imported.ignored_columns))}", soft_wrap=True)
    if not imported.events or (strict and imported.refused):
        console.print("[red]Nothing was imported.")
        return
    console.print(
        f"Import {imported.import_id}: {imported.events:,} events in {seconds:.1f} s, received from "
        f"{imported.first_day} to {imported.last_day}.\n"
        f"Next: foryou nightly --from {imported.first_day} --to {imported.last_day}",
        soft_wrap=True,
        highlight=False,
    )


def _lines(imported: Imported) -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = [("rows read", imported.rows)]
    lines += [(f"accepted {lane}", count) for lane, count in imported.accepted.items()]
    return lines + [(f"refused {reason}", count) for reason, count in imported.refused.items()]
