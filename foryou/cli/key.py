"""`foryou key`: from a client's id to the key that is stored."""

import sys
from typing import Annotated

import msgspec
import typer

from foryou.cli.stack import settings_or_exit
from foryou.contract.events import Id


def key(
    user_id: Annotated[str, typer.Argument(help="a client's user id (or device id with --device)")],
    app_id: Annotated[str, typer.Option("--app", help="the app that the id belongs to")] = "demo",
    device: Annotated[bool, typer.Option("--device", help="the id is a device's")] = False,
) -> None:
    """Prints the key under which this stack stores a person (or a device). Raw ids are stored nowhere but
    in dead letters, sealed, for 7 days."""
    try:
        msgspec.convert(user_id, Id)
    except msgspec.ValidationError:
        print("An id has 1 to 128 characters, none of them a control character or '|'.", file=sys.stderr)
        raise typer.Exit(2) from None
    settings = settings_or_exit()
    try:
        identity = settings.secrets().identity
    except OSError as error:
        print(
            f"The secrets in {settings.home} cannot be read: {error.strerror}. Is FORYOU_HOME right?", file=sys.stderr
        )
        raise typer.Exit(1) from None
    print(identity.device_key(app_id, user_id) if device else identity.user_key(app_id, user_id))
