"""What was acknowledged and did not reach Kafka is a hole in the books of its day."""

import os
from datetime import UTC, date, datetime

from foryou.cli.ledger import LOG, set_aside_lines

DAY = date(2026, 11, 20)


def put(folder, name, hour, day=DAY):
    path = folder / name
    path.write_bytes(b"x")
    at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()
    os.utime(path, (at, at))


def test_pieces_of_the_day_are_a_hole_and_torn_ends_are_none(tmp_path):
    put(tmp_path, "1.bad", 0)
    put(tmp_path, "2.unwanted", 23)
    put(tmp_path, "3.torn", 12)  # nobody was told that it was taken
    put(tmp_path, "4.bad", 1, date(2026, 11, 21))
    (line,) = set_aside_lines(tmp_path, DAY)
    assert (line.hop, line.left, line.holds) == (LOG, 2, False)


def test_nothing_set_aside_is_no_line(tmp_path):
    assert set_aside_lines(tmp_path / "nowhere", DAY) == []
