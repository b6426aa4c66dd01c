"""The collector's process: `python -m foryou.collector`. It needs neither Kafka nor the registry to acknowledge."""

import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foryou.collector.admission import Admission
from foryou.collector.door import Door
from foryou.collector.doors import add_doors
from foryou.collector.forward import checkpoint
from foryou.collector.letters import Letters
from foryou.collector.log.disk_log import DiskLog
from foryou.collector.log.segments import LogInUse
from foryou.contract.gate import Gate
from foryou.contract.residence import HOME
from foryou.service import logs
from foryou.service.guard import Guard
from foryou.service.metrics import Metrics
from foryou.service.scheduling import wake_soon
from foryou.service.serving import serve
from foryou.service.settings import Settings
from foryou.service.web import Router

SILENT_MS = 5_000  # a forwarder that says nothing for so long is not running
SWITCH_S = 0.0005  # how long the door may keep the log's threads from the interpreter; Python's own 5 ms is the budget


def main() -> None:
    """Wires and serves until SIGTERM."""
    logs.configure("collector")
    wake_soon()
    try:
        settings = Settings.load(os.environ)
        gate, secrets = settings.gate(), settings.secrets()
        metrics = Metrics()
        log = DiskLog(settings.log_folder, metrics, quota_bytes=settings.log_quota_mb << 20)
    except (ValueError, LogInUse, OSError) as error:
        sys.exit(f"foryou.collector: {error}")

    def detail() -> Mapping[str, Any]:
        behind = behind_for(settings.log_folder, time.time_ns() // 1_000_000)
        return {**log.detail(), "waiting_for": [*log.waiting_for(), *behind]}

    body_s, guard = gate.connections.body_s, Guard(gate, metrics)
    router = Router(metrics, log.waiting_for, detail=detail, body_timeout_s=body_s, guard=guard, cors=settings.cors)
    contract = Gate(secrets.identity, gate.never_stored.rules())
    add_doors(router, Door(secrets.callers, contract, log, metrics, Letters(secrets.seal), Admission(gate)))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a phone that is there holds a connection
    sys.setswitchinterval(SWITCH_S)
    port, listening = settings.ports["collector"], settings.listening("collector")
    serve(router, settings.host, port, stop=log.close, listening=listening)


def behind_for(folder: Path, now_ms: int) -> list[str]:
    """What keeps acknowledged events from Kafka: told on /healthz, though the collector is well without it."""
    told = checkpoint.load_all(folder)
    fresh = {name: each.waiting_for for name, each in told.items() if abs(now_ms - each.at_ms) < SILENT_MS}
    if HOME not in fresh:
        return ["forwarder"]
    lacks = list(fresh[HOME])
    for name, theirs in fresh.items():
        beside = fresh.get(name.removesuffix(checkpoint.ACCOUNTS), []) if name.endswith(checkpoint.ACCOUNTS) else []
        lacks += [f"{what} of {name}" for what in theirs if name != HOME and what not in beside]
    return lacks


if __name__ == "__main__":
    main()
