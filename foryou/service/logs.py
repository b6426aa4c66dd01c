"""Logs are lines of JSON on stderr. They carry event ids and request ids, never a client's raw id or a write key."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_QUIET = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "asyncio": logging.WARNING,
}


KEPT = 1_000  # beginnings of messages that are remembered


class JsonLines(logging.Formatter):
    """One record, one line: time, level, process, logger, message, then whatever was passed as `extra`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=repr).decode("utf-8", "replace")


class Seldom(logging.Filter):
    """Lets a message that begins alike pass once per `every_s` seconds: librdkafka says a hundred times that Kafka is
    away. Of a thousand different beginnings the oldest is forgotten."""

    def __init__(self, every_s: float = 30.0) -> None:
        super().__init__()
        self._every_s = every_s
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes."""
        head = record.getMessage()[:16]
        if record.created - self._last.get(head, 0.0) < self._every_s:
            return False
        self._last.pop(head, None)
        self._last[head] = record.created
        if len(self._last) > KEPT:
            del self._last[next(iter(self._last))]
        return True


def configure(process_name: str, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sends every logger of this process to `stream` (stderr) as JSON lines. Entry points call it once, first."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(process_name))
    librdkafka = logging.getLogger("librdkafka")  # what Kafka clients take as their `logger`
    librdkafka.filters[:] = [Seldom()]
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, quieter in _QUIET.items():
        logging.getLogger(name).setLevel(quieter)
