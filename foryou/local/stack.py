"""The whole stack as a list: what runs, in the order in which people should read it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from foryou.local import probe
from foryou.local.flink import Flink
from foryou.local.home import Home
from foryou.local.jdk import Jdk
from foryou.local.kafka import kafka_part
from foryou.local.part import Job, Part
from foryou.local.registry import registry_part
from foryou.service.settings import REPO, Settings

JARS = REPO / "infra" / "local" / "lib"
STREAMING_PYTHON = REPO / ".venv" / "streaming" / "bin" / "python"


@dataclass(frozen=True)
class Stack:
    """Processes and jobs."""

    parts: tuple[Part, ...]
    jobs: tuple[Job, ...]

    @property
    def units(self) -> tuple[Part | Job, ...]:
        """Both."""
        return (*self.parts, *self.jobs)


def flink_of(settings: Settings, jdk: Jdk) -> Flink:
    """Flink as this stack has it."""
    return Flink(settings, Home(settings.home), jdk, JARS, STREAMING_PYTHON)


def whole_stack(settings: Settings, jdk: Jdk) -> Stack:
    """Everything that `foryou up` starts."""
    home = Home(settings.home)
    flink = flink_of(settings, jdk)
    jobmanager, taskmanager = flink.parts()
    return Stack(
        parts=(
            kafka_part(settings, home, jdk, JARS),
            registry_part(settings, home, jdk, JARS),
            jobmanager,
            taskmanager,
            _ours(settings, "collector", "takes events over HTTP, onto its log", needs=()),
            _ours(
                settings, "forwarder", "the collector's log into Kafka", module="collector.forward", waited_for=False
            ),
            _ours(settings, "store", "online store, Feast feature server"),
            _ours(settings, "ranker", "the feed API"),
            _ours(
                settings,
                "analytics",
                "ClickHouse: events, rollups, trends",
                # Its profiles of memory go to the system's folder for temporary files, whatever TMPDIR says.
                env={"JE_MALLOC_CONF": f"prof_prefix:{home.tmp / 'analytics' / 'jemalloc'}"},
            ),
        ),
        jobs=(
            flink.job(
                "features",
                REPO / "jobs" / "streaming" / "features.py",
                "Flink job: admission and tiles",
                # Not the registry: a schema is asked for with the first record, and planning takes longer than it does.
                needs=("kafka",),
            ),
        ),
    )


def _ours(
    settings: Settings,
    name: str,
    doc: str,
    *,
    module: str = "",
    needs: tuple[str, ...] = ("registry",),
    waited_for: bool = True,
    env: Mapping[str, str] = MappingProxyType({}),
) -> Part:
    log = Home(settings.home).logs / f"{name}.log"
    return Part(
        name=name,
        doc=doc,
        address=settings.url(name),
        argv=(sys.executable, "-m", f"foryou.{module or name}"),
        needs=needs,
        env=env,
        check=lambda: probe.healthz(settings.url(name)),
        log=log,
        console=log,
        cwd=REPO,
        waited_for=waited_for,
    )
