"""Where things are. Read from the environment once, by an entry point, then passed on."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from foryou.contract.identity import Identity
from foryou.contract.seal import Seal
from foryou.contract.secret_ring import SecretRing, decode_ring, encode_ring, new_ring
from foryou.service import gate_settings
from foryou.service.callers import Callers
from foryou.service.cors import Cors
from foryou.service.gate_settings import GateSettings
from foryou.service.key_file import Followed, KeyFile, open_keys
from foryou.service.serving import Listening, Tls, is_loopback
from foryou.service.tokens import Tokens

REPO = Path(__file__).resolve().parents[2]
PORTS = {
    "kafka": 9092,
    "kafka_controller": 9093,
    "registry": 8081,
    "flink": 8082,
    "collector": 8080,
    "forwarder": 8085,
    "store": 6566,
    "ranker": 8090,
    "analytics": 8123,
    "flink_jobmanager": 6123,
    "flink_blob": 6124,
    "flink_taskmanager": 6125,
    "flink_data": 6126,
    "supervisor": 8079,
}
TLS_PORTS = {"collector_tls": 8443, "ranker_tls": 8453}  # where there is a certificate


@dataclass(frozen=True)
class Secrets:
    """What must not be in a log: keys and secrets of one stack.

    `write_keys` (key → app id) has only the development key: of the others no text is kept, `keys` knows their hashes.
    """

    write_keys: Mapping[str, str] = field(repr=False)
    keys: KeyFile = field(repr=False)
    tokens: Tokens = field(repr=False)
    identity: Identity = field(repr=False)
    seal: Seal = field(repr=False)  # of dead letters

    @property
    def callers(self) -> Callers:
        """Who a request comes from, by these keys and tokens."""
        return Callers(self.keys, self.tokens)

    def apps(self) -> list[str]:
        """The apps that have or had a key."""
        return sorted({key.app_id for key in self.keys.ring})


@dataclass(frozen=True)
class Settings:
    """Addresses and paths of one stack. Everything is on loopback and under `home` unless told otherwise."""

    home: Path
    host: str = "127.0.0.1"
    ports: Mapping[str, int] = field(default_factory=lambda: dict(PORTS))
    kafka_override: str | None = None
    registry_override: str | None = None
    clickhouse_override: str | None = None
    log_quota_mb: int = 4_096  # what the collector's log may hold
    log_keep_s: int = 600  # how long the log keeps an event after Kafka has acknowledged it
    flink_slots: int = 1  # and the parallelism of its jobs: on two cores a second one costs more than it brings
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_host: str | None = None  # where collector and ranker listen with TLS; `host` unless said
    plaintext: bool = False  # off loopback, and the operator has said so
    cors: Cors = field(default_factory=Cors)

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads FORYOU_HOME, _HOST, _PORT_OFFSET, _PORT_<NAME>, _KAFKA, _REGISTRY, _CLICKHOUSE, _LOG_QUOTA_MB,
        _LOG_KEEP_S, _FLINK_SLOTS, _TLS_CERT, _TLS_KEY, _TLS_HOST, _PLAINTEXT, _CORS_ORIGINS. Raises ValueError, also
        for what would listen in plaintext off loopback without a word.
        """
        try:
            offset = int(environ.get("FORYOU_PORT_OFFSET") or "0")
            known = PORTS | (TLS_PORTS if environ.get("FORYOU_TLS_CERT") else {})
            ports = {
                name: int(environ.get(f"FORYOU_PORT_{name.upper()}", port + offset)) for name, port in known.items()
            }
        except ValueError as error:
            raise ValueError(f"FORYOU_PORT_OFFSET and FORYOU_PORT_<NAME> are whole numbers: {error}") from error
        try:
            quota_mb = int(environ.get("FORYOU_LOG_QUOTA_MB", cls.log_quota_mb))
            keep_s = int(environ.get("FORYOU_LOG_KEEP_S", cls.log_keep_s))
            slots = int(environ.get("FORYOU_FLINK_SLOTS", cls.flink_slots))
        except ValueError as error:
            told = "FORYOU_LOG_QUOTA_MB, FORYOU_LOG_KEEP_S and FORYOU_FLINK_SLOTS are whole numbers"
            raise ValueError(f"{told}: {error}") from error
        if quota_mb < 1 or keep_s < 0 or slots < 1:
            raise ValueError("FORYOU_LOG_QUOTA_MB and FORYOU_FLINK_SLOTS are at least 1, FORYOU_LOG_KEEP_S at least 0")
        wrong = [f"{name}={port}" for name, port in ports.items() if not 0 < port < 65_536]
        if wrong:
            raise ValueError(f"ports are between 1 and 65535, not {', '.join(wrong)}: change FORYOU_PORT_OFFSET")
        home = Path(environ.get("FORYOU_HOME") or REPO / ".home").expanduser().resolve()
        if file := next((path for path in (home, *home.parents) if path.is_file()), None):
            raise ValueError(f"FORYOU_HOME is {home}, and {file} is a file: set it to a folder")
        settings = cls(
            home=home,
            host=environ.get("FORYOU_HOST", "127.0.0.1"),
            ports=ports,
            kafka_override=environ.get("FORYOU_KAFKA"),
            registry_override=environ.get("FORYOU_REGISTRY"),
            clickhouse_override=environ.get("FORYOU_CLICKHOUSE"),
            log_quota_mb=quota_mb,
            log_keep_s=keep_s,
            flink_slots=slots,
            tls_cert=_path(environ.get("FORYOU_TLS_CERT")),
            tls_key=_path(environ.get("FORYOU_TLS_KEY")),
            tls_host=environ.get("FORYOU_TLS_HOST") or None,
            plaintext=environ.get("FORYOU_PLAINTEXT", "").lower() == "yes",
            cors=Cors.of(environ["FORYOU_CORS_ORIGINS"]) if "FORYOU_CORS_ORIGINS" in environ else Cors(),
        )
        _refuse_plaintext(settings)
        return settings

    @property
    def log_folder(self) -> Path:
        """The collector's log."""
        return self.home / "collector" / "log"

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
        env |= {"FORYOU_LOG_QUOTA_MB": str(self.log_quota_mb), "FORYOU_LOG_KEEP_S": str(self.log_keep_s)}
        env["FORYOU_FLINK_SLOTS"] = str(self.flink_slots)
        env["FORYOU_CORS_ORIGINS"] = ",".join(self.cors.origins)
        if self.kafka_override:
            env["FORYOU_KAFKA"] = self.kafka_override
        if self.registry_override:
            env["FORYOU_REGISTRY"] = self.registry_override
        if self.clickhouse_override:
            env["FORYOU_CLICKHOUSE"] = self.clickhouse_override
        if self.tls_cert is not None and self.tls_key is not None:
            env |= {"FORYOU_TLS_CERT": str(self.tls_cert), "FORYOU_TLS_KEY": str(self.tls_key)}
        if self.tls_host is not None:
            env["FORYOU_TLS_HOST"] = self.tls_host
        if self.plaintext:
            env["FORYOU_PLAINTEXT"] = "yes"
        return env

    def gate(self) -> GateSettings:
        """The gate's limits: the defaults, and what `gate.toml` in the home says else. Raises ValueError."""
        return gate_settings.load(self.home / "gate.toml")

    def listening(self, name: str) -> Listening:
        """How the process listens: bounds on connections, and its TLS address where there is a certificate."""
        bounds, tls = self.gate().connections, None
        if self.tls_cert is not None and self.tls_key is not None:
            tls = Tls(self.tls_host or self.host, self.ports[f"{name}_tls"], self.tls_cert, self.tls_key)
        return Listening(bounds.open, bounds.idle_s, tls)

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
        """The stack's secrets, made (mode 0600) when there are none yet. Two processes that race get the same.
        Raises ValueError when a file cannot be understood, OSError when one cannot be read or made."""
        folder = self._secrets
        keys = open_keys(folder, time.time_ns() // 1_000_000)
        identity = Identity(bytes.fromhex(_once(folder / "identity.key", lambda: secrets.token_hex(32)).strip()))
        tokens, seal = Tokens(self.ring("tokens")), Seal(self.ring("letters"), "dead letter")
        return Secrets(_development(folder, keys), keys, tokens, identity, seal)

    def ring(self, name: str) -> Callable[[], SecretRing]:
        """The ring of secrets in `secrets/<name>.json`, followed; made when there is none yet. Raises ValueError when
        it cannot be understood."""
        path = self._secrets / f"{name}.json"
        _once(path, lambda: encode_ring(new_ring()).decode())
        try:
            return Followed(path, decode_ring, decode_ring(path.read_bytes()))
        except ValueError:  # a secret that nobody keeps would be worse than none
            raise ValueError(f"{path} cannot be understood: bring it back from a copy, or delete it") from None


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser().resolve() if text else None


def _refuse_plaintext(settings: Settings) -> None:
    """Off loopback only with TLS. All of a stack listens on `host`, and Kafka, Flink and the store speak plaintext."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise ValueError("FORYOU_TLS_CERT and FORYOU_TLS_KEY go together: set both, or neither")
    for path in (settings.tls_cert, settings.tls_key):
        if path is not None and not path.is_file():
            raise ValueError(f"{path} is no file: FORYOU_TLS_CERT and FORYOU_TLS_KEY are PEM files")
    if settings.tls_host is not None and settings.tls_cert is None:
        raise ValueError("FORYOU_TLS_HOST needs a certificate: set FORYOU_TLS_CERT and FORYOU_TLS_KEY")
    if not is_loopback(settings.host) and not settings.plaintext:
        raise ValueError(
            f"FORYOU_HOST={settings.host} is off loopback, and everything there would be readable on the way. Leave it "
            "out and set FORYOU_TLS_CERT, FORYOU_TLS_KEY and FORYOU_TLS_HOST: collector and ranker then listen there "
            "with TLS. If plaintext is what you want: FORYOU_PLAINTEXT=yes"
        )


def _development(folder: Path, keys: KeyFile) -> dict[str, str]:
    """The development key and its app, while it opens anything."""
    path = folder / "development.key"
    text = path.read_text("utf-8").strip() if path.exists() else ""
    caller = keys.ring.find(text, time.time_ns() // 1_000_000)
    return {} if caller is None else {text: caller.app_id}


def _once(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        draft.touch(mode=0o600)
        draft.write_text(make(), "utf-8")
        try:
            os.link(draft, path)  # atomic, and fails where another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text("utf-8")
