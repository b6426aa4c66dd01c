"""Flink: the distribution inside the apache-flink wheel, one JobManager, one TaskManager, and the jobs on them."""

import contextlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from foryou.local import checkpoints, probe, temporary
from foryou.local.home import Home, epoch, next_epoch, write_whole
from foryou.local.jdk import Jdk
from foryou.local.log4j import log4j_file
from foryou.local.part import Job, Part, Running
from foryou.service.settings import REPO, Settings

JOBMANAGER_MEMORY = "832m"
TASKMANAGER_MEMORY = "1728m"
CHECKPOINT_MS = 10_000
# Two Kafka sinks in one chain name one gauge twice, at every start of every task: thousands of lines that say nothing.
QUIET = {"org.apache.kafka": "WARN", "org.apache.flink.metrics.MetricGroup": "ERROR"}
ENDED = {"FAILED", "CANCELED", "FINISHED", "SUSPENDED"}


class FlinkUnusable(Exception):
    """The wheel is not as expected, or Flink refused; the message is for people."""


@dataclass(frozen=True)
class Flink:
    """Where Flink lies and listens."""

    settings: Settings
    home: Home
    jdk: Jdk
    jars: Path
    python: Path

    @property
    def dist(self) -> Path:
        """The distribution inside the wheel."""
        found = sorted((self.python.parents[1] / "lib").glob("python3*/site-packages/pyflink"))
        if not found:
            raise FlinkUnusable(f"there is no pyflink beside {self.python}: run `make install`")
        return found[0]

    @property
    def url(self) -> str:
        """REST and UI."""
        return self.settings.url("flink")

    def checkpoints(self, job: str) -> Path:
        """Where a job's checkpoints and savepoints lie."""
        return self.home.flink / "checkpoints" / job

    def environ(self, who: str, part: str = "") -> dict[str, str]:
        """What Flink's own scripts read. `part` is whose folder of temporary files it is, if not `who`'s."""
        # A client lives for seconds and a JobManager idles: the second compiler costs them more than it brings.
        quick = "" if who == "taskmanager" else "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
        return {
            # What Flink has a setting for (io.tmp.dirs) follows the JVM's folder where it is not set.
            "JVM_ARGS": quick + " ".join(temporary.java_options(self.home, part or who)),
            "JAVA_HOME": str(self.jdk.home),
            "FLINK_HOME": str(self.dist),
            "FLINK_CONF_DIR": str(self.home.flink / "conf" / who),
            "FLINK_LIB_DIR": str(self.home.flink / "lib"),
            "FLINK_LOG_DIR": str(self.home.logs),
            "FLINK_PID_DIR": str(self.home.run / who),
            "FLINK_IDENT_STRING": "foryou",
            # The jobs import foryou's pure packages from the tree; the streaming environment holds no copy.
            "PYTHONPATH": str(REPO),
            "PATH": f"{self.python.parent}:/usr/local/bin:/usr/bin:/bin",
        }

    def config(self) -> dict[str, Any]:
        """Flink's settings. The wheel's own come first: without its add-opens every job dies on Java 17."""
        ports, host = self.settings.ports, self.settings.host
        wheel = yaml.safe_load((self.dist / "conf" / "config.yaml").read_text("utf-8"))
        return flatten(wheel) | {
            "jobmanager.rpc.address": host,
            "jobmanager.rpc.port": ports["flink_jobmanager"],
            "jobmanager.bind-host": host,
            "jobmanager.memory.process.size": JOBMANAGER_MEMORY,
            "blob.server.port": str(ports["flink_blob"]),
            "rest.address": host,
            "rest.bind-address": host,
            "rest.port": ports["flink"],
            "taskmanager.host": host,
            "taskmanager.bind-host": host,
            "taskmanager.rpc.port": str(ports["flink_taskmanager"]),
            "taskmanager.data.port": ports["flink_data"],
            "taskmanager.memory.process.size": TASKMANAGER_MEMORY,
            "taskmanager.numberOfTaskSlots": self.settings.flink_slots,
            "env.java.opts.taskmanager": "-XX:+UseParallelGC",
            "parallelism.default": self.settings.flink_slots,
            "state.backend.type": "rocksdb",
            "execution.checkpointing.incremental": "true",
            "execution.checkpointing.interval": f"{CHECKPOINT_MS} ms",
            "execution.checkpointing.mode": "EXACTLY_ONCE",
            "execution.checkpointing.dir": (self.home.flink / "checkpoints" / "unnamed").as_uri(),
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            "execution.checkpointing.num-retained": 2,
            "execution.checkpointing.min-pause": "2 s",
            "restart-strategy.type": "exponential-delay",
            "restart-strategy.exponential-delay.initial-backoff": "1 s",
            "restart-strategy.exponential-delay.max-backoff": "20 s",
            "heartbeat.interval": 2_000,
            "heartbeat.timeout": 20_000,
            "python.executable": str(self.python),
            "python.client.executable": str(self.python),
        }

    def prepare(self) -> None:
        """Writes settings and the folder of jars: the wheel's own and our connectors, side by side.

        A connector in Flink's own class path is loaded once; shipped with each job it would be loaded at every restart.
        """
        lib = self.home.flink / "lib"
        shutil.rmtree(self.home.flink / "tmp", ignore_errors=True)  # where temporary files lay until homes had `tmp`
        lib.mkdir(parents=True, exist_ok=True)
        wanted = {jar.name: jar for jar in [*(self.dist / "lib").glob("*.jar"), *(self.jars / "flink").glob("*.jar")]}
        for link in lib.iterdir():
            if link.name not in wanted or link.resolve() != wanted[link.name].resolve():
                link.unlink()
        for name, jar in wanted.items():
            if not (lib / name).is_symlink():
                (lib / name).symlink_to(jar)
        text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in self.config().items())
        for who in ("jobmanager", "taskmanager", "client"):
            conf = self.home.flink / "conf" / who
            conf.mkdir(parents=True, exist_ok=True)
            (self.home.run / who).mkdir(parents=True, exist_ok=True)
            for stale in (self.home.run / who).iterdir():
                stale.unlink()
            write_whole(conf / "config.yaml", text)
            logging = log4j_file(self.home.logs / f"flink-{who}.log", quiet=QUIET)
            for name in ("log4j-console.properties", "log4j-cli.properties"):
                write_whole(conf / name, logging)

    def parts(self) -> tuple[Part, Part]:
        """JobManager and TaskManager.

        There is no HA service: with the JobManager its tasks go, too, so that a job that is submitted again never runs
        beside its old tasks.
        """
        before: set[str] = set()  # TaskManagers known when ours started: Flink names a dead one until it misses it

        def remember() -> None:
            before.clear()
            with contextlib.suppress(OSError):  # a JobManager that does not answer yet knows none
                before.update(self.taskmanagers())

        jobmanager = Part(
            name="jobmanager",
            doc="Flink JobManager, REST and UI",
            address=self.url,
            argv=(str(self.dist / "bin" / "jobmanager.sh"), "start-foreground"),
            env=self.environ("jobmanager"),
            check=lambda: probe.ok(f"{self.url}/overview"),
            log=self.home.logs / "flink-jobmanager.log",
            console=self.home.logs / "flink-jobmanager.out",
            prepare=self.prepare,
            cwd=self.home.flink,
        )
        taskmanager = Part(
            name="taskmanager",
            doc="Flink TaskManager",
            address=f"{self.settings.host}:{self.settings.ports['flink_taskmanager']}",
            argv=(str(self.dist / "bin" / "taskmanager.sh"), "start-foreground"),
            env=self.environ("taskmanager"),
            check=lambda: self._lacks_taskmanager(before),
            prepare=remember,
            log=self.home.logs / "flink-taskmanager.log",
            console=self.home.logs / "flink-taskmanager.out",
            bound_to="jobmanager",
            cwd=self.home.flink,
        )
        return jobmanager, taskmanager

    def job(self, name: str, program: Path, doc: str, needs: tuple[str, ...]) -> Job:
        """A job that is kept running."""
        folder = self.checkpoints(name)
        return Job(
            name=name,
            doc=doc,
            address=f"{self.url}/#/job/running",
            needs=("jobmanager", "taskmanager", *needs),
            find=lambda: self.find(name),
            submission=lambda: self.submission(name, program),
            env=self.environ("client", name),
            log=self.home.logs / f"job-{name}.log",
            hold=self.home.run / f"{name}.hold",
            tidy=lambda running: checkpoints.drop_older(folder, running.job_id),
            checkpoint_age_s=lambda: _age_s(checkpoints.restore_point(folder)),
        )

    def submission(self, name: str, program: Path) -> tuple[str, ...]:
        """The command that submits a job, from its newest complete checkpoint where there is one.

        The epoch counts up only for a start from nothing. A restored job counts its tiles on from the checkpoint, and
        what it repeats is refused by the store as a smaller n of the same epoch.
        """
        folder, epochs = self.checkpoints(name), self.home.flink / "epochs" / name
        folder.mkdir(parents=True, exist_ok=True)
        point = checkpoints.restore_point(folder)
        number = epoch(epochs) if point is not None else next_epoch(epochs)
        restore = ("-s", point.as_uri()) if point is not None else ()
        return (
            str(self.dist / "bin" / "flink"),
            "run",
            "-d",
            "-m",
            f"{self.settings.host}:{self.settings.ports['flink']}",
            *restore,
            "-D",
            f"execution.checkpointing.dir={folder.as_uri()}",
            "-pyexec",
            str(self.python),
            "-pyclientexec",
            str(self.python),
            "-py",
            str(program),
            *("--kafka", self.settings.kafka),
            *("--registry", self.settings.registry_url),
            *("--epoch", str(number)),
            *("--name", name),
        )

    def jobs(self) -> list[dict[str, Any]]:
        """Every job that the JobManager knows: jid, name, state, start-time, tasks. Raises OSError."""
        found: list[dict[str, Any]] = probe.get_json(f"{self.url}/jobs/overview")["jobs"]
        return found

    def find(self, name: str) -> Running | None:
        """The living job of that name; None when there is none. Raises OSError when Flink does not answer."""
        for job in self.jobs():
            if job["name"] == name and job["state"] not in ENDED:
                tasks = job["tasks"]
                return Running(job["jid"], job["state"], tasks["running"] + tasks["finished"] == tasks["total"])
        return None

    def taskmanagers(self) -> set[str]:
        """Ids of those that the JobManager knows; each start has a new one. Raises OSError."""
        return {manager["id"] for manager in probe.get_json(f"{self.url}/taskmanagers")["taskmanagers"]}

    def _lacks_taskmanager(self, before: set[str]) -> str | None:
        try:
            ours = self.taskmanagers() - before
        except OSError:
            return "the JobManager"
        return None if ours else "its registration with the JobManager"


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} → {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _age_s(point: Path | None) -> float | None:
    return None if point is None else time.time() - (point / "_metadata").stat().st_mtime
