"""Ports that someone else holds, or that the stack has elsewhere, said in one sentence."""

import errno
import socket
import time
from collections import Counter
from collections.abc import Mapping

from foryou.service.settings import PORTS, TLS_PORTS, Settings


class PortTaken(Exception):
    """A port is in use; the message is the one sentence to show."""


def taken(host: str, port: int) -> bool:
    """True when nobody can listen on (host, port) now. A port in TIME_WAIT is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return True
            raise PortTaken(f"{host} is not an address of this machine: change FORYOU_HOST.") from error
    return False


def check_free(settings: Settings, patience_s: float = 5.0) -> None:
    """Raises PortTaken naming the first port in use and the settings that change it.

    It waits a little first: a process that was just killed is gone before the kernel has closed its sockets.
    """
    deadline = time.monotonic() + patience_s
    for name, port in settings.ports.items():
        while (held := taken(settings.host, port)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if held:
            raise PortTaken(
                f"Port {port} ({name.replace('_', ' ')}) on {settings.host} is in use: end what holds it, "
                f"or set FORYOU_PORT_{name.upper()}, or FORYOU_PORT_OFFSET to move every port."
            )


def setting_of(ports: Mapping[str, int]) -> str:
    """The environment by which a stack has these ports: an offset, and those that are off it."""
    off = {name: port - (PORTS | TLS_PORTS)[name] for name, port in ports.items()}
    offset = Counter(off.values()).most_common(1)[0][0]
    own = (f" FORYOU_PORT_{name.upper()}={ports[name]}" for name in off if off[name] != offset)
    return f"FORYOU_PORT_OFFSET={offset}{''.join(own)}"
