"""`foryou key`: from a client's id to the key that is stored."""

from typing import Annotated

import typer

from foryou.cli.stack import settings_or_exit


def key(
    user_id: Annotated[str, typer.Argument(help="a client's user id (or device id with --device)")],
    app_id: Annotated[str, typer.Option("--app", help="the app that the id belongs to")] = "demo",
    device: Annotated[bool, typer.Option("--device", help="the id is a device's")] = False,
) -> None:
    """Prints the key under which this stack stores a person (or a device). Raw ids are stored nowhere but
    in dead letters, which keep the refused bytes for 7 days."""
    identity = settings_or_exit().secrets().identity
    print(identity.device_key(app_id, user_id) if device else identity.user_key(app_id, user_id))
