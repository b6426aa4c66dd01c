"""Where things are. Read from the environment once, by an entry point, then passed on."""

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from foryou.contract.identity import Identity
from foryou.service.cors import Cors

REPO = Path(__file__).resolve().parents[2]
PORTS = {
    "kafka": 9092,
    "kafka_controller": 9093,
    "registry": 8081,
    "flink": 8082,
    "collector": 8080,
    "store": 6566,
    "ranker": 8090,
    "analytics": 8123,
    "flink_jobmanager": 6123,
    "flink_blob": 6124,
    "flink_taskmanager": 6125,
    "flink_data": 6126,
    "supervisor": 8079,
}


@dataclass(frozen=True)
class Secrets:
    """What must not be in a log: write keys (key → app id) and the identity secret."""

    write_keys: Mapping[str, str]
    identity: Identity = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """Addresses and paths of one stack. Everything is on loopback and under `home` unless told otherwise."""

    home: Path
    host: str = "127.0.0.1"
    ports: Mapping[str, int] = field(default_factory=lambda: dict(PORTS))
    kafka_override: str | None = None
    registry_override: str | None = None
    clickhouse_override: str | None = None
    cors: Cors = field(default_factory=Cors)

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads FORYOU_HOME, _HOST, _PORT_OFFSET, _PORT_<NAME>, _KAFKA, _REGISTRY, _CLICKHOUSE, _CORS_ORIGINS.

        Raises ValueError.
        """
        try:
            offset = int(environ.get("FORYOU_PORT_OFFSET", "0"))
            ports = {
                name: int(environ.get(f"FORYOU_PORT_{name.upper()}", port + offset)) for name, port in PORTS.items()
            }
        except ValueError as error:
            raise ValueError(f"FORYOU_PORT_OFFSET and FORYOU_PORT_<NAME> are whole numbers: {error}") from error
        wrong = [f"{name}={port}" for name, port in ports.items() if not 0 < port < 65_536]
        if wrong:
            raise ValueError(f"ports are between 1 and 65535, not {', '.join(wrong)}: change FORYOU_PORT_OFFSET")
        return cls(
            home=Path(environ.get("FORYOU_HOME") or REPO / ".home").expanduser().resolve(),
            host=environ.get("FORYOU_HOST", "127.0.0.1"),
            ports=ports,
            kafka_override=environ.get("FORYOU_KAFKA"),
            registry_override=environ.get("FORYOU_REGISTRY"),
            clickhouse_override=environ.get("FORYOU_CLICKHOUSE"),
            cors=Cors.of(environ["FORYOU_CORS_ORIGINS"]) if "FORYOU_CORS_ORIGINS" in environ else Cors(),
        )

    @property
    def kafka(self) -> str:
        """Bootstrap servers."""
        return self.kafka_override or f"{self.host}:{self.ports['kafka']}"

    @property
    def registry_url(self) -> str:
        """The registry's Confluent API."""
        return self.registry_override or f"{self.url('registry')}/apis/ccompat/v7"

    def url(self, name: str) -> str:
        """`http://host:port` of a process."""
        return f"http://{self.host}:{self.ports[name]}"

    def environ(self) -> dict[str, str]:
        """The environment that makes a child process load these same settings."""
        env = {f"FORYOU_PORT_{name.upper()}": str(port) for name, port in self.ports.items()}
        env |= {"FORYOU_HOME": str(self.home), "FORYOU_HOST": self.host}
        env["FORYOU_CORS_ORIGINS"] = ",".join(self.cors.origins)
        if self.kafka_override:
            env["FORYOU_KAFKA"] = self.kafka_override
        if self.registry_override:
            env["FORYOU_REGISTRY"] = self.registry_override
        if self.clickhouse_override:
            env["FORYOU_CLICKHOUSE"] = self.clickhouse_override
        return env

    @property
    def clickhouse_key(self) -> str:
        """The password of ClickHouse's user `writer`, made (mode 0600) when there is none yet."""
        return _once(self._secrets / "clickhouse.key", lambda: secrets.token_urlsafe(24)).strip()

    @property
    def _secrets(self) -> Path:
        folder = self.home / "secrets"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def secrets(self) -> Secrets:
        """The stack's secrets, made (mode 0600) when there are none yet. Two processes that race get the same."""
        folder = self._secrets
        keys = json.loads(_once(folder / "write_keys.json", lambda: json.dumps({_new_write_key(): {"app_id": "demo"}})))
        identity = Identity(bytes.fromhex(_once(folder / "identity.key", lambda: secrets.token_hex(32)).strip()))
        return Secrets({key: row["app_id"] for key, row in keys.items()}, identity)


def _new_write_key() -> str:
    return "fy_dev_" + secrets.token_urlsafe(24)


def _once(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(make(), "utf-8")
        try:
            os.link(draft, path)  # atomic, and fails where another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text("utf-8")
