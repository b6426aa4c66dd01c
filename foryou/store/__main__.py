"""`python -m foryou.store`: the one RocksDB writer and Feast's feature server, in one process."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator

import uvicorn

from foryou.contract.codec import Registry
from foryou.features.definitions import VIEWS
from foryou.service import garbage, logs
from foryou.service.metrics import Metrics
from foryou.service.settings import Settings
from foryou.store.door import Door
from foryou.store.online import now_ms
from foryou.store.permits import Permits
from foryou.store.rocks import RocksRows, StoreUnavailableError
from foryou.store.rows import Rows
from foryou.store.serving import RegistryFollower, open_store, registry_path, rocks_path, write_configs
from foryou.store.source import KafkaSource
from foryou.store.writer import Writer

log = logging.getLogger("foryou.store")

STOP_S = 3
PATIENT_MS = 1_000  # a view whose changes are gathered for so long writes them in bursts
# The writer's thread computes; a request must not wait for it the interpreter's usual 5 ms at every turn.
SWITCH_S = 0.0005


class _Server(uvicorn.Server):
    """uvicorn, without its habit of ending the process by the signal once it has stopped: the rows are open then."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def main() -> int:
    """Serves until SIGTERM; returns the exit status."""
    logs.configure("store")
    for talkative in ("feast", "uvicorn.error"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    sys.setswitchinterval(SWITCH_S)
    settings = Settings.load(os.environ)
    try:
        rows = RocksRows(rocks_path(settings))
    except StoreUnavailableError as error:
        log.error("cannot start", extra={"reason": str(error)})
        return 1
    try:
        return _serve(settings, rows)
    finally:
        rows.close()
        log.info("stopped")


def _serve(settings: Settings, rows: Rows) -> int:
    write_configs(settings)
    metrics = Metrics()
    source = KafkaSource(settings.kafka, frozenset(v.topic for v in VIEWS.values() if v.gather_ms >= PATIENT_MS))
    writer = Writer(rows, source, Registry(settings.registry_url).decoder(), VIEWS, metrics, now_ms)
    store = open_store(settings, rows, now_ms)
    follower = RegistryFollower(store, registry_path(settings), rows)
    permits = Permits(settings.secrets().callers, settings.host)
    door = Door(store, lambda: follower.known, rows, VIEWS, lambda: writer.waiting_for, metrics, now_ms, permits)
    garbage.quieten()
    server = _Server(
        uvicorn.Config(
            door,
            settings.host,
            settings.ports["store"],
            loop="uvloop",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=STOP_S,
        )
    )
    failed = threading.Event()

    def write() -> None:
        try:
            writer.run()
        except Exception:  # the thread's own boundary: without its writer the process must not live on
            log.exception("the writer failed")
            failed.set()
            server.should_exit = True

    writing = threading.Thread(target=write, name="store-writer")
    writing.start()
    follower.start()
    try:
        server.run()
    finally:
        follower.stop()
        writer.stop()
        writing.join()
        follower.join()
        source.close()
    return 1 if failed.is_set() or not server.started else 0


if __name__ == "__main__":
    sys.exit(main())
