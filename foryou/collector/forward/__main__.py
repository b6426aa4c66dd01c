"""The forwarder's process: `python -m foryou.collector.forward`."""

import os
import sys
import threading
from pathlib import Path

from foryou.collector.encoders import Encoders
from foryou.collector.forward.forwarder import Forwarder
from foryou.collector.forward.sender import KafkaSender
from foryou.collector.log.segments import LogInUse, lock
from foryou.contract.events import Lane
from foryou.contract.topics import FLAGGED, REJECTED
from foryou.service import logs
from foryou.service.metrics import Metrics
from foryou.service.rsgi import Router, serve
from foryou.service.settings import Settings

BOOT = Path("/proc/sys/kernel/random/boot_id")
NICE = 5  # the door goes before: an event that waits in the log is safe, a phone that waits is not


def main() -> None:
    """Wires, forwards in a thread, and serves /healthz and /metrics until SIGTERM."""
    logs.configure("forwarder")
    try:
        settings = Settings.load(os.environ)
        held = lock(settings.log_folder, "forwarder")
    except (ValueError, LogInUse) as error:
        sys.exit(f"foryou.collector.forward: {error}")
    os.nice(NICE)
    metrics = Metrics()
    encoders = Encoders(settings.registry_url, [*(lane.value for lane in Lane), FLAGGED, REJECTED])

    def connect() -> KafkaSender:
        return KafkaSender(settings.kafka, forwarder.stopping)

    forwarder = Forwarder(
        settings.log_folder,
        connect,
        encoders.current,
        metrics,
        keep_s=settings.log_keep_s,
        quota_bytes=settings.log_quota_mb << 20,
        boot=BOOT.read_text("ascii").strip(),
    )
    thread = threading.Thread(target=_run, args=(forwarder,), name="forward", daemon=True)

    def start(_: object) -> None:
        encoders.start()
        thread.start()

    def stop() -> None:
        encoders.stop()
        forwarder.stop()
        thread.join(2.0)
        held.close()

    serve(Router(metrics, forwarder.waiting_for), settings.host, settings.ports["forwarder"], start=start, stop=stop)


def _run(forwarder: Forwarder) -> None:
    try:
        forwarder.run()
    finally:
        if not forwarder.stopping():
            os._exit(70)  # a process that answers but does not forward would lie; the supervisor starts it again


if __name__ == "__main__":
    main()
