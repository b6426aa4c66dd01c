"""`foryou token`: a token with which one person's phone reads that person's feed."""

import sys
import time
from typing import Annotated

import msgspec
import typer

from foryou.cli.stack import settings_or_exit
from foryou.contract.events import Id
from foryou.service.tokens import DEFAULT_TTL_S, FEED, MAX_TTL_S


def token(
    user_id: Annotated[str, typer.Argument(help="a client's user id (or device id with --device)")],
    app_id: Annotated[str, typer.Option("--app", help="the app that the id belongs to")] = "demo",
    device: Annotated[bool, typer.Option("--device", help="the id is a device's")] = False,
    ttl: Annotated[int, typer.Option(min=1, max=MAX_TTL_S, help="seconds that it opens")] = DEFAULT_TTL_S,
) -> None:
    """Prints a token. With it as Bearer, GET /v1/feed answers for this person and for nobody else."""
    try:
        msgspec.convert(user_id, Id)
    except msgspec.ValidationError:
        print("An id has 1 to 128 characters, none of them a control character or '|'.", file=sys.stderr)
        raise typer.Exit(2) from None
    secrets = settings_or_exit().secrets()
    of = secrets.identity.device_key if device else secrets.identity.user_key
    print(secrets.tokens.issue(app_id, of(app_id, user_id), FEED, int(time.time()), ttl))
