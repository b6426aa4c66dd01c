"""The forwarder's process: `python -m foryou.collector.forward`."""

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foryou.collector.encoders import Encoders
from foryou.collector.forward.forwarder import Forwarder, Share
from foryou.collector.forward.sender import KafkaSender
from foryou.collector.log.segments import LogInUse, lock
from foryou.contract.codec import Record
from foryou.contract.residence import HOME, INTAKE
from foryou.service import logs
from foryou.service.gate_settings import ResidencyTable
from foryou.service.metrics import Metrics
from foryou.service.serving import serve
from foryou.service.settings import Settings
from foryou.service.web import Router

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
    home, *elsewhere = (Carrier(settings, residency, name, metrics) for name in (HOME, *residency.to))
    carriers = (home, *elsewhere)

    def detail() -> Mapping[str, Any]:
        return {"residences": {each.name: each.waiting_for() for each in elsewhere}} if elsewhere else {}

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

    def __init__(self, settings: Settings, residency: ResidencyTable, name: str, metrics: Metrics) -> None:
        there = residency.to.get(name)
        kafka = (there and there.kafka) or settings.kafka
        self.name = name
        self._encoders = Encoders((there and there.registry) or settings.registry_url, INTAKE)
        self._forwarder = Forwarder(
            settings.log_folder,
            lambda: KafkaSender(kafka, self._forwarder.stopping),
            self._encoders.current,
            metrics,
            keep_s=settings.log_keep_s,
            quota_bytes=settings.log_quota_mb << 20,
            boot=BOOT.read_text("ascii").strip(),
            share=share_of(residency, name),
        )
        self._thread = threading.Thread(target=_run, args=(self._forwarder,), name=f"forward {name}", daemon=True)
        self.waiting_for, self.join = self._forwarder.waiting_for, self._thread.join

    def start(self) -> None:
        """Begins to carry."""
        self._encoders.start()
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end."""
        self._encoders.stop()
        self._forwarder.stop()


def share_of(residency: ResidencyTable, name: str) -> Share | None:
    """What of the log is carried to `name`; None: everything, since nobody lives elsewhere."""
    if not residency.to:
        return None
    rules = residency.rules()

    def mine(record: Record) -> bool:
        return rules.of(record) == name

    there = residency.to.get(name)
    beside = tuple(residency.to) if there is None else ()
    return Share(name, mine, there.suffix if there else "", residency.fingerprint, beside)


def _run(forwarder: Forwarder) -> None:
    try:
        forwarder.run()
    finally:
        if not forwarder.stopping():
            os._exit(70)  # a process that answers but does not forward would lie; the supervisor starts it again


if __name__ == "__main__":
    main()
