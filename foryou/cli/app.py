"""The table of commands, and the group that imports a command when it is called."""

import importlib
import sys
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True)
class Command:
    """A command: where it lies (a function, or a Typer app with commands of its own) and its line in the help."""

    name: str
    module: str
    attribute: str
    help: str
    panel: str


STACK, PEOPLE, LOOK, GATE = "The stack", "Life on it", "Look inside", "The gate"
NIGHT, JOBS = "The night", "Flink jobs"
COMMANDS = (
    Command("up", "foryou.cli.stack", "up", "Start everything: Kafka, registry, Flink, our services.", STACK),
    Command("status", "foryou.cli.stack", "status", "What runs, where it listens, what it waits for.", STACK),
    Command("down", "foryou.cli.stack", "down", "End every process of the stack; the data stays.", STACK),
    Command(
        "doctor",
        "foryou.cli.doctor",
        "doctor",
        "Check needs, ports, disk, health; say how to mend it.",
        STACK,
    ),
    Command("demo", "foryou.cli.demo", "demo", "The whole loop with a report: start, live, measure.", PEOPLE),
    Command("simulate", "foryou.cli.simulate", "app", "Let made-up people live on the stack.", PEOPLE),
    Command("trace", "foryou.cli.tracing", "trace_command", "Follow one event through every hop.", LOOK),
    Command("topics", "foryou.cli.topics", "app", "List topics, or read one, decoded.", LOOK),
    Command("events", "foryou.cli.events", "app", "Watch events come in, and what would mend refused ones.", LOOK),
    Command("key", "foryou.cli.key", "key", "The key under which a person or device is stored.", LOOK),
    Command("keys", "foryou.cli.keys", "app", "Write keys: list, make, rotate, revoke.", GATE),
    Command("token", "foryou.cli.tokens", "token", "A token with which one person reads their own feed.", GATE),
    Command("dlq", "foryou.cli.dlq", "app", "Dead letters: list, show, replay.", GATE),
    Command("nightly", "foryou.cli.nightly", "nightly", "Recompute days from the lake, publish them.", NIGHT),
    Command("parity", "foryou.cli.parity", "parity", "Speed against batch, tile by tile, and why.", NIGHT),
    Command("ledger", "foryou.cli.ledger", "ledger", "The books: one equation per hop; fails on a hole.", NIGHT),
    Command(
        "import",
        "foryou.cli.importing",
        "import_",
        "History from files into the lake, by the live door's checks.",
        NIGHT,
    ),
    Command("jobs", "foryou.cli.jobs", "app", "Submit, list, save or upgrade Flink jobs.", JOBS),
)
BY_NAME = {command.name: command for command in COMMANDS}


class Lazy(TyperGroup):
    """Shows every command, imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the table."""
        return [command.name for command in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the help shows of a command."""
        found = BY_NAME.get(cmd_name)
        return None if found is None else TyperCommand(found.name, help=found.help, rich_help_panel=found.panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(BY_NAME[command.name]) if command is not None and command.name else command, rest


def load(command: Command) -> Any:
    """Imports a command."""
    target = getattr(importlib.import_module(command.module), command.attribute)
    if not isinstance(target, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode="rich")
        single.command(command.name)(target)
        target = single
    loaded = get_command(target)
    loaded.name = command.name
    return loaded


app = typer.Typer(cls=Lazy, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")


@app.callback()
def foryou() -> None:
    """The open data platform behind a short-video feed.

    A tap goes in over HTTP, and the next page has changed: collector, Kafka,
    Flink, the online store and the ranker run on this machine, under one
    folder, on loopback, without Docker.

    [bold]Begin:[/] foryou up, then foryou simulate, then foryou status.

    [bold]Settings[/] are environment variables. FORYOU_HOME: the folder of all data
    (.home). FORYOU_PORT_OFFSET: added to every port. FORYOU_PORT_<NAME>: one
    port, such as FORYOU_PORT_KAFKA. FORYOU_HOST: where to listen (127.0.0.1).
    FORYOU_TLS_CERT, FORYOU_TLS_KEY, FORYOU_TLS_HOST: collector and ranker with
    TLS, too. FORYOU_PLAINTEXT=yes: let FORYOU_HOST leave loopback.
    FORYOU_CORS_ORIGINS: web pages that may ask. FORYOU_LOG_QUOTA_MB (4096),
    FORYOU_LOG_KEEP_S (600): the collector's log. FORYOU_FLINK_SLOTS (1).
    JAVA_HOME: the JDK 17 or 21 to use. Limits: gate.toml in the folder.
    """


def run() -> None:
    """Runs the command line; an interrupt is not an error."""
    try:
        app(prog_name="foryou")
    except KeyboardInterrupt:
        sys.exit(130)
