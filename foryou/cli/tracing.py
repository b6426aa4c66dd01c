"""`foryou trace`: the command around `foryou.cli.trace`."""

import sys
import uuid
from typing import Annotated

import typer

from foryou.cli.stack import live_settings


def trace_command(
    event_id: Annotated[str, typer.Argument(help="the event's id, as the collector's answer gave it")],
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait for hops that are still to come")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Follows one event: every hop with its time, partition and offset, the tiles that it touched, the next page.

    Then ClickHouse's row, and where the lake has it: bronze, silver, the clean row, the batch layer's tiles.
    """
    from rich.console import Console

    from foryou.cli.trace import NO_PAGE_YET, Trace, show, trace, with_the_past
    from foryou.local.lifecycle import runs_here
    from foryou.local.probe import answers

    try:
        uuid.UUID(event_id)
    except ValueError:
        print(f"{event_id} is not an event id: those are UUIDs, as in the collector's answer.", file=sys.stderr)
        raise typer.Exit(2) from None
    settings = live_settings()
    address, _, port = settings.kafka.split(",")[0].rpartition(":")
    up = answers(address or settings.host, int(port)) is None
    asked = up and (settings.kafka_override is not None or runs_here(settings, "kafka"))
    if asked:
        with Console(stderr=True).status(f"following the event; hops still to come are waited for, at most {wait:g} s"):
            result = trace(settings, event_id, wait)
    else:
        told = "is another home's" if up else "does not answer (`foryou up` starts it)"
        print(f"Kafka at {settings.kafka} {told}: only the lake and ClickHouse are asked.", file=sys.stderr)
        result = with_the_past(settings, Trace(event_id, (), ("accepted",)))
    show(result, as_json, live=asked)
    raise typer.Exit(0 if result.hops and set(result.missing) <= {NO_PAGE_YET} else 1)
