"""Batch wins up to its cut-off: both layers' tiles lie in the row, and the markers say which of them count."""

import pytest

from foryou.features import cutoff, merge
from foryou.features.definitions import VIEWS
from foryou.features.merge import BATCH_SALT
from foryou.features.operations import DAY
from foryou.store.door import tiles_of
from foryou.store.rows import cutoff_key, tile_key
from foryou.store.testing import tile

NOON = 1_795_176_000_000
TODAY = NOON // DAY * DAY
HISTORY = VIEWS["user_history_v1"]
ANN = tile_key(HISTORY.full_name, "demo", "ann")


def watched(rows, now=NOON):
    until = cutoff.decode(rows.get(cutoff_key(HISTORY.full_name))).ms
    row = merge.decode(HISTORY, rows.get(ANN))
    return tiles_of(HISTORY, "demo", "ann", row, now, until)["features"]["watch_ms_7d"]


def drain(writer):
    while writer.step():
        pass


def both_layers(topics):
    for day, stream, batch in ((2, 10, 12), (1, 20, 23), (0, 40, 47)):
        start = TODAY - day * DAY
        topics.send(HISTORY, tile(HISTORY, "ann", start, watch_ms=stream))
        topics.send(HISTORY, tile(HISTORY, "ann", start, watch_ms=batch, salt=BATCH_SALT))


def mark(topics, until, partition, partitions=2):
    key, record = cutoff.marker(HISTORY, partition, partitions, until)
    topics.source.append(HISTORY.topic, key.encode(), topics.encode(HISTORY, record), partition, 0)


def test_without_a_cut_off_the_stream_counts(writer, rows, topics):
    both_layers(topics)
    writer.start()
    drain(writer)
    assert watched(rows) == 10 + 20 + 40


@pytest.mark.parametrize(
    ("days_ago", "expected"), [(3, 10 + 20 + 40), (1, 12 + 20 + 40), (0, 12 + 23 + 40), (-1, 12 + 23 + 47)]
)
def test_the_batch_layer_counts_up_to_the_cut_off_and_the_stream_after_it(writer, rows, topics, days_ago, expected):
    both_layers(topics)
    for partition in (0, 1):
        mark(topics, TODAY - days_ago * DAY, partition)
    writer.start()
    drain(writer)
    assert watched(rows) == expected


def test_a_cut_off_holds_when_every_partition_has_said_so(writer, rows, topics):
    both_layers(topics)
    mark(topics, TODAY, 0)
    writer.start()
    drain(writer)
    assert watched(rows) == 10 + 20 + 40, "the tiles of the other partition may not be there yet"
    mark(topics, TODAY - DAY, 1)
    drain(writer)
    assert watched(rows) == 12 + 20 + 40, "as far as both are whole"


def test_an_older_marker_takes_nothing_back(writer, rows, topics):
    both_layers(topics)
    for until in (TODAY, TODAY - 2 * DAY):
        for partition in (0, 1):
            mark(topics, until, partition)
    writer.start()
    drain(writer)
    assert watched(rows) == 12 + 23 + 40


def test_a_marker_is_no_tile(writer, rows, topics):
    mark(topics, TODAY, 0)
    writer.start()
    drain(writer)
    assert rows.get(tile_key(HISTORY.full_name, "", "")) is None
