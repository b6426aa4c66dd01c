"""`python -m foryou.analytics`: the one owner of the embedded ClickHouse, its HTTP interface, the loader."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from foryou.analytics import migrations
from foryou.analytics.access import Access, outside
from foryou.analytics.admin import Admin
from foryou.analytics.door import Door
from foryou.analytics.embedded import Embedded
from foryou.analytics.engine import Engine
from foryou.analytics.errors import QueryError
from foryou.analytics.loader.loader import EVENTS, SERVED, Feed, Loader
from foryou.analytics.loader.progress import ProgressFile
from foryou.analytics.loader.source import KafkaSource
from foryou.analytics.migrations import MigrationError
from foryou.analytics.nightly import Nightly
from foryou.analytics.remote import Remote
from foryou.analytics.statement import INSIDE
from foryou.contract.codec import Registry
from foryou.service import logs
from foryou.service.metrics import Metrics
from foryou.service.rsgi import Router, serve
from foryou.service.settings import Settings

log = logging.getLogger("foryou.analytics")

BODY_TIMEOUT_S = 120.0


def main() -> int:
    """Serves until SIGTERM; returns the exit status."""
    logs.configure("analytics")
    try:
        settings = Settings.load(os.environ)
        engine = open_engine(settings)
        for migration in migrations.apply(engine, migrations.load()):
            log.info("migrated", extra={"migration": f"{migration.number:04}_{migration.name}"})
    except (ValueError, QueryError, MigrationError) as error:
        log.error("cannot start", extra={"reason": str(error)})
        return 1
    return _serve(settings, engine)


def open_engine(settings: Settings) -> Engine:
    """The ClickHouse of these settings: a server if FORYOU_CLICKHOUSE names one, else the embedded one."""
    if settings.clickhouse_override:
        return Remote(settings.clickhouse_override)
    return Embedded(settings.home / "analytics")


def _serve(settings: Settings, engine: Engine) -> int:
    metrics = Metrics()
    turn = threading.RLock()
    loaders = [_loader(settings, feed, engine, metrics, turn) for feed in (EVENTS, SERVED)]
    threads = [_Thread(loader) for loader in loaders]

    def finish() -> None:
        for loader in loaders:
            loader.finish()

    functions = engine.query("SELECT name FROM system.table_functions").text.split()
    access = Access(settings.clickhouse_key, outside(functions, INSIDE))
    nightly = Nightly(engine, settings.home / "lake" / "publish" / "clickhouse", turn, finish)
    door = Door(engine, access, metrics)
    router = Router(
        metrics, lambda: [each for loader in loaders for each in loader.waiting_for], body_timeout_s=BODY_TIMEOUT_S
    )
    door.add_to(router)
    Admin(engine, nightly, access).add_to(router)

    def stop() -> None:
        for thread in threads:
            thread.loader.stop()
        door.close()
        for thread in threads:
            thread.join()
        engine.close()

    def begin() -> None:
        for thread in threads:
            thread.start()

    serve(router, settings.host, settings.ports["analytics"], start=lambda _: begin(), stop=stop)
    return 1 if any(thread.failed for thread in threads) else 0


def _loader(settings: Settings, feed: Feed, engine: Engine, metrics: Metrics, turn: threading.RLock) -> Loader:
    progress = ProgressFile(settings.home / "analytics" / "loader" / f"{feed.topic}.json")
    source = KafkaSource(settings.kafka, feed.topic)
    return Loader(feed, source, engine, Registry(settings.registry_url).schema, progress, metrics, turn)


class _Thread(threading.Thread):
    """A loader's thread. Without its loader the process must not live on: it is started anew, with its plan."""

    def __init__(self, loader: Loader) -> None:
        super().__init__(name="loader")
        self.loader = loader
        self.failed = False

    def run(self) -> None:
        try:
            self.loader.run()
        except Exception:
            log.exception("the loader failed")
            self.failed = True
            signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
