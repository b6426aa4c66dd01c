"""Small runs of the drill on the stack's own broker, and the checker on what it must and must not find."""

import dataclasses
import time
from array import array

import pytest

from bench.intake_checker import Client, Report, check
from bench.intake_drill import Drill, broken_build
from bench.intake_parts import Intake

FAULTS = ("collector", "forwarder", "all", "full", "sync")
RUN = int(time.time())  # event ids of this run of the tests are told from earlier ones'


def intake_beside(stack, home, offset):
    """Collector and forwarder of their own, in front of the stack's Kafka and registry."""
    settings = stack.settings
    ports = {name: port + offset for name, port in settings.ports.items()}
    return Intake(
        dataclasses.replace(
            settings,
            home=home,
            ports=ports,
            kafka_override=settings.kafka,
            registry_override=settings.registry_url,
            log_quota_mb=16,
            log_keep_s=1,
        ),
        own_kafka=False,
        module="bench.intake_faulty",
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_dies_nothing_acknowledged_is_lost_and_nothing_is_invented(stack, tmp_path, seed):
    intake = intake_beside(stack, tmp_path / "home", 7)
    drill = Drill(intake, tmp_path, FAULTS)
    try:
        intake.start()
        told = drill.run(seed, RUN + seed, seconds=3.0, faults=4)
        report = drill.check()
        print(told, report)
    finally:
        intake.stop()
    assert report.acknowledged > 100
    assert report.good, str(report)


def test_the_checker_catches_a_build_that_acknowledges_before_it_writes(stack, tmp_path):
    report = broken_build(intake_beside(stack, tmp_path / "home", 7), tmp_path, RUN + 99)
    assert report.lost


def client(tmp_path, acknowledged, sent=10, run=1):
    path = tmp_path / f"acked-{run}"
    path.write_bytes(array("Q", [viewer << 40 | number for viewer, number in acknowledged]).tobytes())
    return Client(run, sent, path)


def ids(*numbers, run=1):
    return [f"{run:08x}-1357-7000-8000-{number:012x}" for number in numbers]


def test_the_checker_is_content_with_copies_and_with_what_nobody_was_told_of(tmp_path):
    report = check([client(tmp_path, [(0, 0), (1, 1), (0, 2)])], [ids(0, 2, 0, 5), ids(1, 1), ids(7, run=9)])
    assert report == Report(acknowledged=3, in_kafka=4, duplicates=2)


def test_the_checker_finds_what_a_forwarder_skipped_invented_or_turned_round(tmp_path):
    clients = [client(tmp_path, [(0, 0), (1, 1), (0, 2)])]
    assert check(clients, [ids(0, 1)]).lost == ids(2)
    assert check(clients, [ids(0, 1, 2, 10)]).invented == ids(10)
    assert check(clients, [ids(2, 0, 1)]).disordered == ["viewer 0 of run 1"]
    assert check(clients, [ids(0, 1), ids(2)]).disordered == ["viewer 0 of run 1"]
