"""A night as a process that can be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class NightRun:
    """`foryou nightly` in a process group of its own."""

    def __init__(self, home: Path, *arguments: str, environ: dict[str, str] | None = None) -> None:
        ours = {"FORYOU_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
        foryou = Path(sys.executable).parent / "foryou"
        self._process = subprocess.Popen(
            [str(foryou), "nightly", "--urgent", *arguments],
            env=(environ or dict(os.environ)) | ours,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, within_s: float = 600) -> str:
        """Waits for it; returns what it said. Fails when it failed."""
        said, _ = self._process.communicate(timeout=within_s)
        assert self._process.returncode == 0, said[-3000:]
        return said

    def kill(self, when: Callable[[], bool], after_s: float) -> bool:
        """kill -9 of the run, `after_s` after `when()`; False when it was done before. Its Spark ends with it."""
        while self._process.poll() is None and not when():
            time.sleep(0.02)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(after_s)
        alive = self._process.poll() is None
        if alive:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        return alive
