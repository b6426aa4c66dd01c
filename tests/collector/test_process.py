"""What the collector says of the events that are on their way to Kafka."""

from foryou.collector.__main__ import SILENT_MS, behind_for
from foryou.collector.forward import checkpoint
from foryou.collector.forward.checkpoint import Checkpoint

NOW = 1_790_000_000_000


def test_it_hands_on_what_the_forwarder_waits_for(tmp_path):
    checkpoint.save(tmp_path, Checkpoint(waiting_for=["kafka"], at_ms=NOW - 100))
    assert behind_for(tmp_path, NOW) == ["kafka"]


def test_a_forwarder_that_is_silent_is_waited_for(tmp_path):
    assert behind_for(tmp_path, NOW) == ["forwarder"]
    checkpoint.save(tmp_path, Checkpoint(waiting_for=[], at_ms=NOW - SILENT_MS))
    assert behind_for(tmp_path, NOW) == ["forwarder"]


def test_a_forwarder_that_is_well_leaves_nothing_to_wait_for(tmp_path):
    checkpoint.save(tmp_path, Checkpoint(at_ms=NOW))
    assert behind_for(tmp_path, NOW) == []


def test_what_a_residence_waits_for_is_told_too(tmp_path):
    checkpoint.save(tmp_path, Checkpoint(at_ms=NOW))
    checkpoint.save(tmp_path, Checkpoint(waiting_for=["kafka"], at_ms=NOW), checkpoint.name_of("eu"))
    checkpoint.save(tmp_path, Checkpoint(waiting_for=["kafka"], at_ms=NOW), checkpoint.name_of("eu.accounts"))
    assert behind_for(tmp_path, NOW) == ["kafka of eu"]


def test_accounts_that_wait_alone_are_told(tmp_path):
    checkpoint.save(tmp_path, Checkpoint(at_ms=NOW))
    for name in ("home.accounts", "eu.accounts"):
        checkpoint.save(tmp_path, Checkpoint(waiting_for=["registry"], at_ms=NOW), checkpoint.name_of(name))
    assert behind_for(tmp_path, NOW) == ["registry of eu.accounts", "registry of home.accounts"]
