"""The commands of an installation: what is shown of them, and how they end together."""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

QUIET_S = 15.0
CLEAR = "\r\x1b[2K"
PIP_LINES = (
    r"^Collecting ([^ ]+)",
    r"^ *Downloading ([^ ]+ \(.*\))",
    r"^(Installing) collected",
    r"^ *Building wheel for ([^ ]+)",
)


class CannotInstall(Exception):
    """What is missing, in one sentence."""


class Screen:
    """One line for all steps under way on a terminal, a line per step now and then elsewhere.

    What pip and npm leave among temporary files lies in `temporary`, until it is cleared.
    """

    def __init__(self, out: IO[str], temporary: Path, environ: Mapping[str, str]) -> None:
        self.temporary, self._environ = temporary, {**environ, "TMPDIR": str(temporary)}
        self._out, self.terminal = out, out.isatty()
        self._lock = threading.Lock()
        self._under_way: dict[str, str] = {}
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def clear(self) -> None:
        """Removes temporary files, those of an interrupted run, too. Who has the lock may."""
        shutil.rmtree(self.temporary, ignore_errors=True)

    def stop(self) -> None:
        """Ends what runs, and lets nothing begin any more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()

    def tell(self, name: str, text: str) -> None:
        """What a step is doing."""
        with self._lock:
            self._under_way[name] = text
            if self.terminal:
                self._draw()
            else:
                self._out.write(f"{name}: {text}\n")
            self._out.flush()

    def end(self, name: str, text: str) -> None:
        """A step is done."""
        with self._lock:
            self._under_way.pop(name, None)
            self._out.write(f"{CLEAR if self.terminal else ''}{name}: {text}\n")
            if self.terminal:
                self._draw()
            self._out.flush()

    def start(self, command: list[str], cwd: Path | None, others: Mapping[str, str]) -> "subprocess.Popen[str]":
        """A command that ends when all do."""
        with self._lock:
            if self._stopped:
                raise CannotInstall("Another step failed.")
            self.temporary.mkdir(exist_ok=True)
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**self._environ, **others},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            self._running.add(process)
        return process

    def ended(self, process: "subprocess.Popen[str]") -> int:
        """Waits for it; its status."""
        status = process.wait()
        with self._lock:
            self._running.discard(process)
        return status

    def _draw(self) -> None:
        line = " · ".join(f"{name}: {text}" for name, text in self._under_way.items())
        self._out.write(CLEAR + line[: shutil.get_terminal_size().columns - 1])


class Progress:
    """One step of an installation."""

    def __init__(self, name: str, screen: Screen) -> None:
        self._name, self._screen = name, screen
        self._began, self._told = time.monotonic(), 0.0

    def end(self) -> None:
        """It is done."""
        self._screen.end(self._name, f"installed in {time.monotonic() - self._began:.0f} s")

    def run(
        self,
        command: list[str],
        what: str,
        total: int = 0,
        cwd: Path | None = None,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Runs a command, in the environment and what `environ` adds, and shows how it goes on.

        Raises CannotInstall with the end of its output.
        """
        self._say(what)
        process = self._screen.start(command, cwd, environ)
        assert process.stdout is not None
        output, count = [], 0
        for line in process.stdout:
            output.append(line)
            count += line.startswith(("Collecting ", "Requirement already satisfied"))
            said = _said(line)
            if said:
                of = f" {min(count, total)}/{total}" if total else ""
                self._say(f"{what}{of} {said}")
        if self._screen.ended(process) != 0:
            tail = "".join(output[-25:])
            raise CannotInstall(f"{tail}\n{self._name}: `{' '.join(command[:6])} …` failed; what it said is above.")

    def _say(self, text: str) -> None:
        if self._screen.terminal or time.monotonic() - self._told > QUIET_S:
            self._told = time.monotonic()
            self._screen.tell(self._name, text)


def _said(line: str) -> str:
    """What of a line of pip's or Maven's is worth showing."""
    for pattern in PIP_LINES:
        found = re.match(pattern, line)
        if found:
            return found[1]
    # Maven names a repository in front of the file: show the file alone.
    found = re.match(r"^(?:\[INFO\] )?Downloaded from .*/([^/ ]+) (\(.*\))", line)
    return f"{found[1]} {found[2]}" if found else ""
