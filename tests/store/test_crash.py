"""A store process that is killed: what it wrote is whole, offsets and values agree, and it goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foryou.features import merge
from foryou.features.definitions import VIEWS
from foryou.features.operations import MINUTE
from foryou.service.metrics import Metrics
from foryou.store.rocks import RocksRows
from foryou.store.rows import stored_offsets, tile_prefix
from foryou.store.testing import TileTopics, tile
from foryou.store.writer import Writer

NOON = 1_795_176_000_000
ACTIVITY = VIEWS["user_activity_v1"]
LIKES = ACTIVITY.index("likes")
RECORDS = 4_000

# The same history every time: record i is version i // 40 + 1 of one of 40 tiles of 20 people.
WRITE = """
import sys
from pathlib import Path
from tests.store.test_crash import history, new_writer
from foryou.store.rocks import RocksRows
topics = history()
writer = new_writer(RocksRows(Path(sys.argv[1])), topics)
writer.start()
print("writing", flush=True)
while writer.step():
    pass
print("done", flush=True)
"""


def history():
    topics = TileTopics({"user_activity_v1": ACTIVITY}, partitions=1)
    for i in range(RECORDS):
        who, minute = f"p{i % 20}", i % 40 // 20
        topics.send(ACTIVITY, tile(ACTIVITY, who, NOON - minute * MINUTE, n=i // 40 + 1, likes=i))
    return topics


def new_writer(rows, topics):
    return Writer(rows, topics.source, topics.decode, topics.views, Metrics(), lambda: NOON, batch_records=7)


def tiles(rows):
    return {
        (key, tile_key): (state.n, state.measures[LIKES])
        for key, packed in rows.scan(tile_prefix())
        for tile_key, state in merge.decode(ACTIVITY, packed).items()
    }


def after(records):
    """What a store holds that has read the first `records` of the history, by a second way of reckoning."""
    newest = {}
    for i in range(records):
        newest[i % 40] = (i // 40 + 1, i)
    return sorted(newest.values())


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_in_the_middle_leaves_offsets_and_values_in_agreement(tmp_path, seed):
    path = tmp_path / "rocks"
    child = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    time.sleep(random.Random(seed).uniform(0.0, 0.08))
    child.send_signal(signal.SIGKILL)
    child.wait()

    rows = RocksRows(path)
    read = stored_offsets(rows, ACTIVITY.topic).get(0, 0)
    print(f"killed after {read} of {RECORDS}")
    assert sorted(tiles(rows).values()) == after(read)

    writer = new_writer(rows, history())
    writer.start()
    while writer.step():
        pass
    assert sorted(tiles(rows).values()) == after(RECORDS)
    rows.close()


def test_a_torn_log_is_cut_at_a_whole_batch(tmp_path):
    path = tmp_path / "rocks"
    rows = RocksRows(path)
    writer = new_writer(rows, history())
    writer.start()
    for _ in range(100):
        writer.step()
    whole = stored_offsets(rows, ACTIVITY.topic)[0]
    torn = tmp_path / "torn"
    subprocess.run(["cp", "-r", str(path), str(torn)], check=True)  # as a machine would find it: not closed
    rows.close()
    log = max(torn.glob("*.log"), key=lambda file: file.stat().st_size)
    os.truncate(log, log.stat().st_size - 101)

    rows = RocksRows(torn)
    read = stored_offsets(rows, ACTIVITY.topic)[0]
    assert 0 < read < whole
    assert sorted(tiles(rows).values()) == after(read)
    rows.close()
