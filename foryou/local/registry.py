"""The schema registry: Apicurio with its storage in Kafka, so that schema ids outlive a kill."""

import json
import logging
import urllib.parse
from pathlib import Path

from foryou.contract.schemas import AvroSchema, schema
from foryou.contract.topics import TOPICS
from foryou.features.compilers.avro import tile_schema
from foryou.features.definitions import VIEWS
from foryou.local import probe, temporary
from foryou.local.home import Home
from foryou.local.jdk import Jdk
from foryou.local.part import Part
from foryou.service.settings import Settings

log = logging.getLogger(__name__)

HEAP = "256m"
COMPATIBILITY = "FULL_TRANSITIVE"


def registry_part(settings: Settings, home: Home, jdk: Jdk, jars: Path) -> Part:
    """The registry; healthy when it answers, settled when it guards compatibility and knows every schema."""
    runner = next((jars / "registry").glob("*-runner.jar"), jars / "registry" / "missing-runner.jar")
    properties = {
        "quarkus.http.host": settings.host,
        "quarkus.http.port": settings.ports["registry"],
        "quarkus.http.access-log.enabled": "false",
        "quarkus.log.console.enable": "false",
        "quarkus.log.file.enable": "true",
        "quarkus.log.file.path": home.logs / "registry.log",
        "quarkus.log.file.rotation.max-file-size": "10M",
        "quarkus.log.file.rotation.max-backup-index": 3,
        "quarkus.banner.enabled": "false",
        "apicurio.import.work-dir": home.registry,
    }
    return Part(
        name="registry",
        doc="schema registry, Confluent API",
        address=settings.registry_url,
        argv=(
            str(jdk.java),
            f"-Xmx{HEAP}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            *temporary.java_options(home, "registry"),
            *(f"-D{name}={value}" for name, value in properties.items()),
            "-jar",
            str(runner),
        ),
        env={
            "APICURIO_STORAGE_KIND": "kafkasql",
            "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": settings.kafka,
            # Flink writes the same schema with its fields in another order: one schema, one id.
            "APICURIO_CCOMPAT_USE_CANONICAL_HASH": "true",
        },
        needs=("kafka",),
        check=lambda: probe.ok(f"{settings.registry_url}/config"),
        log=home.logs / "registry.log",
        console=home.logs / "registry.out",
        settle=lambda: _ids(register(settings.registry_url)),
        cwd=home.registry,
    )


def subjects() -> dict[str, AvroSchema]:
    """Every subject with the schema that this version writes."""
    events = {topic.subject: schema(topic.schema) for topic in TOPICS.values()}
    return events | {f"{view.topic}-value": tile_schema(view) for view in VIEWS.values()}


def register(url: str) -> dict[str, int]:
    """Sets the compatibility rule, registers every schema, returns the ids. The same schema keeps its id.

    Raises OSError naming the subject when the registry refuses: a changed schema that old readers could not read.
    """
    probe.send_json("PUT", f"{url}/config", {"compatibility": COMPATIBILITY})
    ids = {}
    for subject, value in subjects().items():
        versions = f"{url}/subjects/{urllib.parse.quote(subject, safe='')}/versions"
        ids[subject] = int(probe.send_json("POST", versions, {"schema": json.dumps(value)})["id"])
    return ids


def _ids(ids: dict[str, int]) -> None:
    log.info("schemas registered", extra={"ids": ids})
