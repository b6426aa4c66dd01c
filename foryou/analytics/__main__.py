"""`python -m foryou.analytics`: the one owner of the embedded ClickHouse, its HTTP interface, the loader."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from foryou.analytics import migrations
from foryou.analytics.access import PATHS, PLAIN, TEXTS, Access, outside, paths
from foryou.analytics.admin import Admin
from foryou.analytics.consent import ACCOUNTS, Hider, Hiding, Withheld
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
from foryou.contract.consent import Law
from foryou.contract.schemas import projection, schema
from foryou.service import consents, logs
from foryou.service.metrics import Metrics
from foryou.service.serving import serve
from foryou.service.settings import Settings
from foryou.service.topic_follower import TopicFollower
from foryou.service.web import Router

log = logging.getLogger("foryou.analytics")

BODY_TIMEOUT_S = 120.0
ACCOUNT = "events.account.v1"


def main() -> int:
    """Serves until SIGTERM; returns the exit status."""
    logs.configure("analytics")
    try:
        settings = Settings.load(os.environ)
        law = settings.gate().consent.law()
        engine = open_engine(settings)
        for migration in migrations.apply(engine, migrations.load()):
            log.info("migrated", extra={"migration": f"{migration.number:04}_{migration.name}"})
    except (ValueError, QueryError, MigrationError) as error:
        log.error("cannot start", extra={"reason": str(error)})
        return 1
    return _serve(settings, engine, law)


def open_engine(settings: Settings) -> Engine:
    """The ClickHouse of these settings: a server if FORYOU_CLICKHOUSE names one, else the embedded one."""
    if settings.clickhouse_override:
        return Remote(settings.clickhouse_override)
    return Embedded(settings.home / "analytics")


def _serve(settings: Settings, engine: Engine, law: Law) -> int:
    metrics = Metrics()
    turn = threading.RLock()
    publish = settings.home / "lake" / "publish" / "clickhouse"
    people = _People(settings, law, metrics)
    people.withheld.read(publish / ACCOUNTS)
    hiding = Hiding(engine, people.withheld)
    loaders = [_loader(settings, feed, engine, metrics, turn, hiding) for feed in (EVENTS, SERVED)]
    threads = [*map(_Thread, loaders), _Thread(Hider(hiding, turn, metrics))]

    def finish() -> None:
        for loader in loaders:
            loader.finish()

    functions = engine.query("SELECT name FROM system.table_functions").text.split()
    telling = (line.split("\t") for line in engine.query(PATHS).text.splitlines())
    hidden = paths((table, column) for table, column in telling)
    texts = frozenset(engine.query(TEXTS).text.split()) - PLAIN
    access = Access(settings.clickhouse_key, outside(functions, INSIDE), hidden, texts)
    nightly = Nightly(engine, publish, turn, finish, hiding=hiding)
    door = Door(engine, access, metrics)
    router = Router(
        metrics, lambda: [each for loader in loaders for each in loader.waiting_for], body_timeout_s=BODY_TIMEOUT_S
    )
    door.add_to(router)
    Admin(engine, nightly, access).add_to(router)

    def stop() -> None:
        people.follower.stop()
        for thread in threads:
            thread.work.stop()
        door.close()
        for thread in threads:
            thread.join()
        engine.close()

    def begin() -> None:
        people.follower.start()
        for thread in threads:
            thread.start()

    serve(router, settings.host, settings.ports["analytics"], start=lambda _: begin(), stop=stop)
    return 1 if any(thread.failed for thread in threads) else 0


class _People:
    """Who consents to analytics, followed in Kafka."""

    def __init__(self, settings: Settings, law: Law, metrics: Metrics) -> None:
        self.withheld = Withheld(law, self._lacks)
        decode = Registry(settings.registry_url).decoder(projection(schema("account"), consents.READ))
        self.follower = TopicFollower(
            settings.kafka, ACCOUNT, decode, self.withheld.apply, metrics, process="analytics"
        )

    def _lacks(self) -> str | None:
        if self.follower.stale is not None:
            return f"{ACCOUNT}: {self.follower.stale}"
        return None if self.follower.caught_up.is_set() else f"the end of {ACCOUNT}: who consents to analytics"


def _loader(
    settings: Settings, feed: Feed, engine: Engine, metrics: Metrics, turn: threading.RLock, hiding: Hiding
) -> Loader:
    progress = ProgressFile(settings.home / "analytics" / "loader" / f"{feed.topic}.json")
    source = KafkaSource(settings.kafka, feed.topic)
    return Loader(feed, source, engine, Registry(settings.registry_url).schema, progress, metrics, turn, hiding=hiding)


class _Thread(threading.Thread):
    """A loader's or the hider's thread. Without them the process must not live on: it is started anew, a loader with
    its plan."""

    def __init__(self, work: Loader | Hider) -> None:
        super().__init__(name=type(work).__name__.lower())
        self.work = work
        self.failed = False

    def run(self) -> None:
        try:
            self.work.run()
        except Exception:
            log.exception("%s failed", self.name)
            self.failed = True
            signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
