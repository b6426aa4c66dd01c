"""The intake alone: one broker, a registry of a few lines, collector and forwarder, each to be killed or frozen."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.intake_load import Result, Spec
from foryou.contract.topics import TOPICS
from foryou.local import probe
from foryou.local.home import Home
from foryou.local.jdk import find_jdk
from foryou.local.kafka import kafka_part
from foryou.local.part import Part
from foryou.local.stack import JARS
from foryou.service.scheduling import BEHIND, stand_back
from foryou.service.settings import REPO, Settings

START_S = 60.0


class RegistryDouble:
    """Gives every subject an id, as a schema registry does; a JVM less to wait for."""

    def __init__(self, port: int) -> None:
        ids = {topic.subject: number for number, topic in enumerate(TOPICS.values(), 1)}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", "0")))
                said = json.dumps({"id": ids.get(self.path.split("/")[-2], 0)}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Process:
    """A part that runs: how it is started again, and what it is asked for its health."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    console: Path
    healthy: Callable[[], bool]
    waited_for: bool = False
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it is healthy."""
        with self.console.open("ab") as out:
            self.running = subprocess.Popen(
                self.argv,
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=REPO,
                start_new_session=True,  # as the supervisor does: where sessions are weighed, each part is one
            )
        if not self.waited_for:
            stand_back(BEHIND, self.running.pid)
        deadline = time.monotonic() + START_S
        while not self.healthy():
            if self.running.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.argv} did not start: see {self.console}")
            time.sleep(0.02)

    @property
    def alive(self) -> bool:
        return self.running is not None and self.running.poll() is None

    def cpu_s(self) -> float:
        """Seconds of processor that it has used."""
        assert self.running is not None
        used = Path(f"/proc/{self.running.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: int) -> None:
        """SIGKILL is waited for."""
        if self.running is not None and self.alive:
            self.running.send_signal(number)
            if number == signal.SIGKILL:
                self.running.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after a few seconds."""
        if self.running is None or not self.alive:
            return
        self.running.send_signal(signal.SIGCONT)
        self.running.terminate()
        try:
            self.running.wait(8)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)


class Intake:
    """The processes under one home, with their load and their books."""

    def __init__(self, settings: Settings, *, own_kafka: bool = True, module: str = "foryou.collector") -> None:
        self.settings = settings
        self.home = Home(settings.home)
        self.home.open()
        self.key = next(iter(settings.secrets().write_keys))
        self.registry = RegistryDouble(settings.ports["registry"]) if own_kafka else None
        env = settings.environ()
        self._part: Part | None = kafka_part(settings, self.home, find_jdk(os.environ), JARS) if own_kafka else None
        self.collector = self._ours("collector", module, env)
        self.forwarder = self._ours("forwarder", "foryou.collector.forward", env, live=True)
        self.kafka: Process | None = None
        if self._part is not None:
            self._part.prepare()
            part = self._part
            self.kafka = Process(part.argv, part.env, part.console, lambda: part.check() is None)

    def _ours(self, name: str, module: str, env: Mapping[str, str], *, live: bool = False) -> Process:
        url = self.settings.url(name)
        port = self.settings.ports[name]
        healthy = (lambda: listens(port)) if live else (lambda: probe.healthz(url) is None)
        log = self.home.logs / f"{name}.log"
        return Process((sys.executable, "-m", module), env, log, healthy, waited_for=name == "collector")

    @property
    def processes(self) -> list[Process]:
        return [each for each in (self.forwarder, self.collector, self.kafka) if each is not None]

    def start_kafka(self) -> None:
        """Starts the broker, and makes the topics where they are missing."""
        assert self.kafka is not None and self._part is not None
        self.kafka.start()
        for _ in range(50):
            try:
                self._part.settle()
                return
            except Exception:  # noqa: BLE001 - it is starting; whatever it says, it is asked again
                time.sleep(0.2)
        raise RuntimeError("Kafka did not settle")

    def start(self) -> None:
        """Starts all."""
        if self.kafka is not None:
            self.start_kafka()
        self.collector.start()
        self.forwarder.start()

    def stop(self) -> None:
        """Ends all."""
        for each in self.processes:
            each.stop()
        if self.registry is not None:
            self.registry.close()

    def load(self, **said: Any) -> "Loading":
        """Begins a load; `done()` waits for its end."""
        return Loading(Spec(port=self.settings.ports["collector"], key=self.key, **said))

    def metric(self, name: str, process: str = "forwarder") -> float:
        """The sum of a metric's samples; NaN when the process does not answer."""
        return metric(self.settings.url(process), name)

    def behind_bytes(self) -> float:
        """Bytes of the log that Kafka does not have."""
        return self.metric("foryou_forwarder_behind_bytes")


def metric(url: str, name: str) -> float:
    """The sum of the samples of a metric that a process serves; NaN when it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return float("nan")
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


class Loading:
    """A load in its own process."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.intake_load", json.dumps(asdict(spec))],
            stdout=subprocess.PIPE,
            cwd=REPO,
            start_new_session=True,
        )
        atexit.register(self._process.kill)  # in a session of its own no Ctrl-C reaches it

    def done(self) -> Result:
        """Waits for the end. Raises RuntimeError when the generator failed."""
        out, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise RuntimeError("the load generator failed")
        return Result(**json.loads(out))

    @property
    def over(self) -> bool:
        return self._process.poll() is not None


def listens(port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket() as probing:
        return probing.connect_ex(("127.0.0.1", port)) == 0
