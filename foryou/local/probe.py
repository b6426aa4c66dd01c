"""Health checks: each returns None, or what is wrong in words."""

import json
import socket
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 2.0


def get_json(url: str, timeout_s: float = TIMEOUT_S) -> Any:
    """The decoded answer. Raises OSError (no answer, or an error status) and ValueError (not JSON)."""
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return json.load(answer)


def send_json(method: str, url: str, body: Any, timeout_s: float = 10.0) -> Any:
    """Sends a JSON body and decodes the answer. Raises OSError, whose text holds the answer's, and ValueError."""
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Accept": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = error.read(2_000).decode("utf-8", "replace")
        raise OSError(f"{method} {url}: {error.code} {said}") from error


def answers(host: str, port: int) -> str | None:
    """Whether something takes connections there."""
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S):
            return None
    except OSError:
        return f"port {port} to answer"


def ok(url: str) -> str | None:
    """Whether a GET is answered 200."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):
            return None
    except urllib.error.HTTPError as error:
        return f"{url} (it says {error.code})"
    except OSError:
        return f"{url} to answer"


def healthz(url: str) -> str | None:
    """Whether one of our processes is well; what it says that it waits for, if not."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=TIMEOUT_S):
            return None
    except urllib.error.HTTPError as error:
        try:
            waiting = json.load(error).get("waiting_for")
        except (ValueError, AttributeError):
            waiting = None
        if isinstance(waiting, list):
            waiting = ", ".join(map(str, waiting))
        return str(waiting) if waiting else f"/healthz (it says {error.code})"
    except OSError:
        return "/healthz to answer"
