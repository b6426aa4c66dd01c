"""The collector's process: `python -m foryou.collector`."""

import os
import sys

from foryou.collector.door import REJECTED, Door
from foryou.collector.doors import add_doors
from foryou.collector.encoders import Encoders
from foryou.collector.producer import KafkaLog
from foryou.contract.events import Lane
from foryou.contract.gate import Gate
from foryou.service import logs
from foryou.service.metrics import Metrics
from foryou.service.rsgi import Router, serve
from foryou.service.settings import Settings


def main() -> None:
    """Wires and serves until SIGTERM."""
    logs.configure("collector")
    try:
        settings = Settings.load(os.environ)
    except ValueError as error:
        sys.exit(f"foryou.collector: {error}")
    secrets = settings.secrets()
    metrics = Metrics()
    topics = [*(lane.value for lane in Lane), REJECTED]
    encoders = Encoders(settings.registry_url, topics)
    log = KafkaLog(settings.kafka, topics, metrics)

    def waiting_for() -> list[str]:
        return [*log.waiting_for(), *([] if encoders.current() else ["registry"])]

    router = Router(metrics, waiting_for, cors=settings.cors)
    add_doors(router, Door(secrets.write_keys, Gate(secrets.identity), log, encoders.current, metrics))

    def stop() -> None:
        encoders.stop()
        log.close()

    serve(router, settings.host, settings.ports["collector"], start=lambda _: encoders.start(), stop=stop)


if __name__ == "__main__":
    main()
