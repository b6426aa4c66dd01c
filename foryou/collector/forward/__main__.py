"""The forwarder's process: `python -m foryou.collector.forward`."""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from foryou.collector.encoders import Encoders
from foryou.collector.forward.checkpoint import ACCOUNTS, accounts_of
from foryou.collector.forward.forwarder import Forwarder, Share
from foryou.collector.forward.sender import KafkaSender
from foryou.collector.log.segments import LogInUse, lock
from foryou.contract.codec import Record
from foryou.contract.events import Lane
from foryou.contract.residence import HOME, INTAKE
from foryou.service import logs
from foryou.service.gate_settings import ResidencyTable
from foryou.service.metrics import Metrics
from foryou.service.serving import serve
from foryou.service.settings import Settings
from foryou.service.web import Router

ACCOUNT = Lane.ACCOUNT.value
BOOT = Path("/proc/sys/kernel/random/boot_id")


def main() -> None:
    """Wires, forwards in a thread, and serves /healthz and /metrics until SIGTERM."""
    logs.configure("forwarder")
    try:
        settings = Settings.load(os.environ)
        residency = settings.gate().residency
        held = lock(settings.log_folder, "forwarder")
    except (ValueError, LogInUse) as error:
        sys.exit(f"foryou.collector.forward: {error}")
    metrics = Metrics()
    carriers = [Carrier(settings, residency, share, metrics) for share in shares(residency)]
    home, *others = carriers

    def detail() -> Mapping[str, Any]:
        lacks = {each.name: each.waiting_for() for each in others}
        accounts = {name: lacks[accounts_of(name)] for name in (HOME, *residency.to)}
        residences = {name: lacks[name] for name in residency.to}
        return {"accounts": accounts} | ({"residences": residences} if residences else {})

    def start(_: object) -> None:
        for each in carriers:
            each.start()

    def stop() -> None:
        for each in carriers:
            each.stop()
        for each in carriers:
            each.join(2.0)
        held.close()

    router = Router(metrics, home.waiting_for, detail=detail)
    serve(router, settings.host, settings.ports["forwarder"], start=start, stop=stop)


class Carrier:
    """A forwarder in a thread of its own, its encoders and its Kafka: the stack's own, or that of a residence.

    A residence whose Kafka is away holds up nobody else; the log keeps what it lacks.
    """

    def __init__(self, settings: Settings, residency: ResidencyTable, share: Share, metrics: Metrics) -> None:
        there = residency.to.get(share.name.removesuffix(ACCOUNTS))
        topics = [name for name in INTAKE if name == share.only or (not share.only and name != share.but)]
        kafka = (there and there.kafka) or settings.kafka
        self.name = share.name
        self._encoders = Encoders((there and there.registry) or settings.registry_url, topics)
        self._forwarder = Forwarder(
            settings.log_folder,
            lambda: KafkaSender(kafka, self._forwarder.stopping),
            self._encoders.current,
            metrics,
            keep_s=settings.log_keep_s,
            quota_bytes=settings.log_quota_mb << 20,
            boot=BOOT.read_text("ascii").strip(),
            share=share,
        )
        self._thread = threading.Thread(target=_run, args=(self._forwarder,), name=f"forward {self.name}", daemon=True)
        self.waiting_for, self.join = self._forwarder.waiting_for, self._thread.join

    def start(self) -> None:
        """Begins to carry."""
        self._encoders.start()
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end."""
        self._encoders.stop()
        self._forwarder.stop()


def shares(residency: ResidencyTable) -> list[Share]:
    """Who carries what; home first. Of each residence the accounts have a carrier of their own: a consent that is
    withdrawn must not wait for the hundred thousand events that were taken before it."""
    names = (HOME, *residency.to)
    everyone = tuple(name for each in names for name in (each, accounts_of(each)))
    return [share for name in names for share in _shares_of(residency, name, everyone)]


def _shares_of(residency: ResidencyTable, name: str, everyone: tuple[str, ...]) -> Iterator[Share]:
    there, rules = residency.to.get(name), residency.rules()

    def mine(record: Record) -> bool:
        return rules.of(record) == name

    common = Share(
        mine=mine if residency.to else None, suffix=there.suffix if there else "", rules=residency.fingerprint
    )
    home = name == HOME
    tells = (accounts_of(name), *(residency.to if home else ()))
    yield replace(common, name=name, but=ACCOUNT, beside=everyone[1:] if home else (), tells=tells)
    yield replace(common, name=accounts_of(name), only=ACCOUNT)


def _run(forwarder: Forwarder) -> None:
    try:
        forwarder.run()
    finally:
        if not forwarder.stopping():
            os._exit(70)  # a process that answers but does not forward would lie; the supervisor starts it again


if __name__ == "__main__":
    main()
