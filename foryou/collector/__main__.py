"""The collector's process: `python -m foryou.collector`."""

import os
import sys

from foryou.collector.admission import Admission
from foryou.collector.door import Door
from foryou.collector.doors import add_doors
from foryou.collector.encoders import Encoders
from foryou.collector.letters import Letters
from foryou.collector.producer import KafkaLog
from foryou.contract.events import Lane
from foryou.contract.gate import Gate
from foryou.contract.topics import FLAGGED, REJECTED
from foryou.service import logs
from foryou.service.guard import Guard
from foryou.service.metrics import Metrics
from foryou.service.rsgi import Router, serve
from foryou.service.settings import Settings


def main() -> None:
    """Wires and serves until SIGTERM."""
    logs.configure("collector")
    try:
        settings = Settings.load(os.environ)
        gate, secrets = settings.gate(), settings.secrets()
    except ValueError as error:
        sys.exit(f"foryou.collector: {error}")
    metrics = Metrics()
    topics = [*(lane.value for lane in Lane), FLAGGED, REJECTED]
    encoders = Encoders(settings.registry_url, topics)
    log = KafkaLog(settings.kafka, topics, metrics)

    def waiting_for() -> list[str]:
        return [*log.waiting_for(), *([] if encoders.current() else ["registry"])]

    body_s = gate.connections.body_s
    router = Router(metrics, waiting_for, body_timeout_s=body_s, guard=Guard(gate, metrics))
    contract = Gate(secrets.identity, gate.never_stored.rules())
    letters, admission = Letters(secrets.seal), Admission(gate)
    door = Door(secrets.callers, contract, log, encoders.current, metrics, letters, admission)
    add_doors(router, door)

    def stop() -> None:
        encoders.stop()
        log.close()

    serve(
        router,
        settings.host,
        settings.ports["collector"],
        start=lambda _: encoders.start(),
        stop=stop,
        listening=settings.listening("collector"),
    )


if __name__ == "__main__":
    main()
