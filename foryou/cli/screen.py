"""How the stack looks on a terminal."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from foryou.local.lifecycle import wait_ready
from foryou.local.state import PartState, StackState
from foryou.service.settings import Settings

SIGNS = {
    "healthy": "[green]●[/]",
    "starting": "[yellow]◐[/]",
    "waiting": "[dim]○[/]",
    "unhealthy": "[yellow]●[/]",
    "restarting": "[red]◐[/]",
    "stopping": "[yellow]◐[/]",
    "stopped": "[dim]○[/]",
    "dead": "[red]✗[/]",
}


def wide(in_a_pipe: int = 180) -> Console:
    """A console for tables: as wide as the terminal, and not cut to 80 columns in a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=in_a_pipe)


def plain(text: str) -> str:
    """A client's text without what could move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def table(state: StackState, phase_of: Callable[[PartState], str] = lambda part: part.phase) -> Table:
    """Every part on a line."""
    lines = Table(box=None, pad_edge=False, show_header=False)
    for _ in ("part", "phase", "address"):
        lines.add_column(no_wrap=True, overflow="fold")
    lines.add_column(overflow="fold")  # what a part waits for is never cut short
    for part in state.parts.values():
        phase = phase_of(part)
        again = f" [dim](started {part.restarts + 1} times)[/]" if part.restarts else ""
        waits = f"[dim]waits for {escape(part.waiting_for)}[/]" if part.waiting_for and phase == "waiting" else ""
        if part.waiting_for and phase != "waiting":
            waits = f"[yellow]{escape(part.waiting_for)}[/]"
        lines.add_row(f"{SIGNS[phase]} {part.name}", phase, part.address, (waits or f"[dim]{part.doc}[/]") + again)
    return lines


def watch(settings: Settings, console: Console, timeout_s: float) -> StackState | None:
    """Shows the stack while it starts: one screen on a terminal, a line per change elsewhere."""
    if not console.is_terminal:
        told: dict[str, str] = {}

        def tell(state: StackState) -> None:
            for part in state.parts.values():
                if told.get(part.name) != part.phase:
                    told[part.name] = part.phase
                    why = f" ({part.waiting_for})" if part.waiting_for else ""
                    console.print(f"{part.name}: {part.phase}{why}", markup=False, highlight=False, soft_wrap=True)

        return wait_ready(settings, timeout_s, tell)
    begin = time.monotonic()
    with Live(console=console, refresh_per_second=4) as live:

        def draw(state: StackState) -> None:
            lines = table(state)
            lines.caption = f"{time.monotonic() - begin:.0f} s"
            lines.caption_justify = "left"
            live.update(lines)

        return wait_ready(settings, timeout_s, draw)
