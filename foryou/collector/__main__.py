"""The collector's process: `python -m foryou.collector`. It needs neither Kafka nor the registry to acknowledge."""

import gc
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foryou.collector.door import Door
from foryou.collector.doors import add_doors
from foryou.collector.forward import checkpoint
from foryou.collector.log.disk_log import DiskLog
from foryou.collector.log.segments import LogInUse
from foryou.contract.gate import Gate
from foryou.service import logs
from foryou.service.metrics import Metrics
from foryou.service.rsgi import Router, serve
from foryou.service.settings import Settings

SILENT_MS = 5_000  # a forwarder that says nothing for so long is not running
MAX_IN_FLIGHT = 1_500  # requests at once; at some 10,000 a second the last of them waits 0.15 s
SWITCH_S = 0.0005  # how long the door may keep the log's thread from the interpreter; Python's own 5 ms is the budget


def main() -> None:
    """Wires and serves until SIGTERM."""
    logs.configure("collector")
    try:
        settings = Settings.load(os.environ)
        metrics = Metrics()
        log = DiskLog(settings.log_folder, metrics, quota_bytes=settings.log_quota_mb << 20)
    except (ValueError, LogInUse, OSError) as error:
        sys.exit(f"foryou.collector: {error}")
    secrets = settings.secrets()

    def detail() -> Mapping[str, Any]:
        behind = behind_for(settings.log_folder, time.time_ns() // 1_000_000)
        return {**log.detail(), "waiting_for": [*log.waiting_for(), *behind]}

    router = Router(metrics, log.waiting_for, detail=detail, max_in_flight=MAX_IN_FLIGHT)
    add_doors(router, Door(secrets.write_keys, Gate(secrets.identity), log, metrics))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a phone that is there holds a connection
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()  # what is there now stays: no collection has to look at it
    gc.set_threshold(50_000, 20, 50)
    serve(router, settings.host, settings.ports["collector"], stop=log.close)


def behind_for(folder: Path, now_ms: int) -> list[str]:
    """What keeps acknowledged events from Kafka: told on /healthz, though the collector is well without it."""
    told = checkpoint.load(folder)
    return list(told.waiting_for) if abs(now_ms - told.at_ms) < SILENT_MS else ["forwarder"]


if __name__ == "__main__":
    main()
