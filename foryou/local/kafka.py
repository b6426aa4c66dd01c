"""Kafka: one node that is broker and controller (KRaft), from plain jars."""

import base64
import logging
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from foryou.contract.residence import elsewhere
from foryou.contract.topics import TOPICS, Topic, tile_topic
from foryou.features.definitions import VIEWS
from foryou.features.spec import HOUR
from foryou.local import probe, temporary
from foryou.local.home import Home, write_whole
from foryou.local.jdk import Jdk
from foryou.local.log4j import log4j_file
from foryou.local.part import Part
from foryou.service.settings import Settings

log = logging.getLogger(__name__)

HEAP = "512m"
SEGMENT_BYTES = 64 * 1024**2
# A laptop's disk is the bound: the busiest lanes keep a week, or this much of it per partition.
PARTITION_BYTES = 2 * 1024**3
LED_S = 30.0  # a new partition has its leader by then


def kafka_part(settings: Settings, home: Home, jdk: Jdk, jars: Path) -> Part:
    """The broker; healthy when it answers, settled when every topic is there."""
    host, port = settings.host, settings.ports["kafka"]
    java = (str(jdk.java), *temporary.java_options(home, "kafka"), "-cp", f"{jars / 'kafka'}/*")
    return Part(
        name="kafka",
        doc="Kafka, one node (KRaft)",
        address=f"{host}:{port}",
        argv=(
            java[0],
            f"-Xms{HEAP}",
            f"-Xmx{HEAP}",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:+ExitOnOutOfMemoryError",
            f"-Dlog4j2.configurationFile={home.kafka / 'log4j2.properties'}",
            *java[1:],
            "kafka.Kafka",
            str(home.kafka / "server.properties"),
        ),
        check=lambda: probe.answers(host, port),
        log=home.logs / "kafka.log",
        console=home.logs / "kafka.out",
        prepare=lambda: _prepare(settings, home, java),
        settle=lambda: make_topics(settings.kafka, all_topics() | topics_elsewhere(settings)),
        grace_s=10.0,
        cwd=home.kafka,
    )


def all_topics() -> dict[str, Topic]:
    """Every topic of the stack: those of the contract, and one per view, kept as long as its tiles are."""
    tiles = {view.topic: tile_topic(view.topic, keep_hours=-(-view.keep // HOUR)) for view in VIEWS.values()}
    return TOPICS | tiles


def topics_elsewhere(settings: Settings) -> dict[str, Topic]:
    """Topics of residences that lie in this cluster under other names. Another cluster's are its operator's to make."""
    here = (each for each in settings.gate().residency.to.values() if each.kafka is None)
    return {name: topic for each in here for name, topic in elsewhere(each.suffix).items()}


def server_properties(settings: Settings, home: Home) -> str:
    """Kafka's settings as its own file format."""
    broker = f"{settings.host}:{settings.ports['kafka']}"
    controller = f"{settings.host}:{settings.ports['kafka_controller']}"
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": home.kafka / "data",
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "log.segment.bytes": SEGMENT_BYTES,
        "log.cleaner.dedupe.buffer.size": 32 * 1024**2,
        "log.cleaner.threads": 1,
        # The largest event that the door takes, escaped and with its envelope, fits with room to spare.
        "message.max.bytes": 4 * 1024**2,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def make_topics(bootstrap: str, topics: Mapping[str, Topic]) -> None:
    """Makes the topics that are missing and brings the settings of all up to date. Raises KafkaException."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2, "socket.timeout.ms": 20_000})
    present = admin.list_topics(timeout=20).topics
    missing = [t for t in topics.values() if t.name not in present]
    if missing:
        made = admin.create_topics([NewTopic(t.name, t.partitions, 1, config=topic_config(t)) for t in missing])
        for future in made.values():
            future.result(timeout=30)
        log.info("topics made", extra={"topics": [t.name for t in missing]})
    kept = [t for t in topics.values() if t.name in present]
    if kept:
        for future in admin.incremental_alter_configs([_resource(t) for t in kept]).values():
            future.result(timeout=30)
    for topic in kept:
        found = len(present[topic.name].partitions)
        if found != topic.partitions:
            # Adding partitions would send a key's next record elsewhere than its last one.
            log.warning(
                "partitions are not changed on a topic with data",
                extra={"topic": topic.name, "has": found, "declared": topic.partitions},
            )
    parts = {**{t.name: len(present[t.name].partitions) for t in kept}, **{t.name: t.partitions for t in missing}}
    _wait_until_led(admin, [TopicPartition(name, part) for name, count in parts.items() for part in range(count)])


def _wait_until_led(admin: AdminClient, partitions: list[TopicPartition]) -> None:
    """Returns when each has a leader that answers: who reads or writes before is told that there is none."""
    deadline = time.monotonic() + LED_S
    while partitions:
        asked = admin.list_offsets({each: OffsetSpec.latest() for each in partitions}, request_timeout=10)
        try:
            for future in asked.values():
                future.result(timeout=11)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def topic_config(topic: Topic) -> dict[str, str]:
    """Kafka's settings of a topic: the contract's, and the local bound on disk."""
    config = dict(topic.config)
    if topic.retention_hours >= 0:
        config["retention.bytes"] = str(PARTITION_BYTES)
    if topic.compacted:
        # Records younger than a segment are not compacted, and a rebuild reads them all.
        config |= {"segment.ms": str(HOUR), "min.cleanable.dirty.ratio": "0.3"}
    return config


def _resource(topic: Topic) -> ConfigResource:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in topic_config(topic).items()
    ]
    return ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)


def cluster_id(made: uuid.UUID) -> str:
    """As Kafka writes one: 22 characters, the first of them no dash, which its tools would take for an option."""
    text = base64.urlsafe_b64encode(made.bytes).decode().rstrip("=")
    return f"A{text[1:]}" if text.startswith("-") else text


def _prepare(settings: Settings, home: Home, java: tuple[str, ...]) -> None:
    write_whole(home.kafka / "server.properties", server_properties(settings, home))
    write_whole(
        home.kafka / "log4j2.properties", log4j_file(home.logs / "kafka.log", quiet={"org.apache.kafka": "WARN"})
    )
    if (home.kafka / "data" / "meta.properties").exists():
        return
    cluster, config = cluster_id(uuid.uuid4()), str(home.kafka / "server.properties")
    command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=home.kafka)
    if done.returncode != 0:
        raise KafkaException(f"formatting Kafka's storage failed: {(done.stdout + done.stderr).strip()[-500:]}")
