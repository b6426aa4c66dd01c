"""What the supervisor does on the side: bounds log files, measures memory and disk, answers /metrics and /healthz."""

import json
import logging
import os
import shutil
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

from foryou.local.board import Board
from foryou.local.home import Home
from foryou.local.process_id import marked
from foryou.service.metrics import CONTENT_TYPE, Metrics

log = logging.getLogger(__name__)

LOG_BYTES = 10 * 1024**2
ROUND_S = 10.0
DISK_ROUNDS = 6


def keep(home: Home, consoles: Iterable[Path], board: Board, metrics: Metrics, stop: threading.Event) -> None:
    """Runs until the stack stops."""
    consoles, rounds = tuple(consoles), 0
    while not stop.wait(ROUND_S):
        for console in consoles:
            bound(console, LOG_BYTES)
        for name in board.now.parts:
            metrics.gauge("foryou_supervisor_process_memory_bytes", process=name).set(memory(home, name))
        if rounds % DISK_ROUNDS == 0:
            for folder in home.root.iterdir():
                if folder.is_dir():
                    metrics.gauge("foryou_supervisor_disk_bytes", folder=folder.name).set(size(folder))
        rounds += 1


def bound(path: Path, limit: int) -> bool:
    """Moves the content of a log that is over its limit into `<name>.1`. The writer keeps its open file: it is emptied,
    not renamed. Lines written in between are lost; the bound on the disk is worth them."""
    try:
        if path.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


def memory(home: Home, part: str) -> int:
    """Resident bytes of a part's processes."""
    total = 0
    for process in marked(home.root, part):
        try:
            total += psutil.Process(process.pid).memory_info().rss
        except psutil.Error:
            continue
    return total


def size(folder: Path) -> int:
    """Bytes of the files below a folder; files that go away meanwhile count for nothing."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{where}/{name}").st_size
            except OSError:
                continue
    return total


def door(host: str, port: int, board: Board, metrics: Metrics) -> ThreadingHTTPServer:
    """The supervisor's own /metrics and /healthz, served by a thread of its own until `shutdown`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE, metrics.render())
            elif self.path == "/healthz":
                missing = board.missing(board.now.parts)
                status = "waiting" if missing else "ok"
                body: dict[str, object] = {"status": status, "waiting_for": missing}
                self._answer(503 if missing else 200, "application/json", json.dumps(body).encode())
            else:
                body = {"title": "Not found", "status": 404, "detail": "There are /metrics and /healthz."}
                self._answer(404, "application/problem+json", json.dumps(body).encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="door", daemon=True).start()
    return server
