"""How fast history comes in: rows per second of processor time, per format. `make bench-import`.

What profiling showed (500,000 events of 15 fields, one core): a third is Avro, a quarter the gate, the rest is spread
thin. So: values go column by column (`to_pylist` per column costs a third of rows as dicts), a column that has the
right types already is not touched, NDJSON is decoded once, straight into the contract's struct, and a missing id
costs one hash. A second process per core would scale: imports share nothing.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from foryou.contract.identity import Identity
from foryou.lake.history import Order, import_history
from foryou.lake.sources import source
from foryou.lake.tables import Lake

START_MS = 1_790_000_000_000


def events(count: int) -> list[dict[str, Any]]:
    """Taps as the simulator sends them, 15 fields each."""
    return [
        {
            "event_id": f"0190f7a2-7c3b-7d1e-9a5f-{n:012x}",
            "event_type": "view_end",
            "event_time": START_MS + n,
            "sent_at": START_MS + n + 80,
            "user_id": f"p{n % 2_000}",
            "device_id": f"d-p{n % 2_000}",
            "session_id": f"0190f7a2-7c3b-7d1e-9a5e-{n // 50:012x}",
            "seq": n % 50,
            "video_id": f"g_{n % 9_999}",
            "impression_id": f"0190f7a2-7c3b-7d1e-9a5d-{n:012x}",
            "request_id": f"0190f7a2-7c3b-7d1e-9a5c-{n // 10:012x}",
            "position": n % 10,
            "watch_ms": 1_234,
            "duration_ms": 15_000,
            "loops": 0,
        }
        for n in range(count)
    ]


def write(folder: Path, count: int) -> list[Path]:
    """The same events in each format."""
    rows = events(count)
    table = pa.Table.from_pylist(rows)
    paths = [folder / f"events.{kind}" for kind in ("parquet", "ndjson", "csv")]
    pq.write_table(table, paths[0])
    paths[1].write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    pyarrow.csv.write_csv(table, paths[2])
    return paths


def main() -> None:
    """Prints a line per format."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=500_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        for path in write(Path(name), rows):
            order = Order((source(path, None),), "demo", time.time_ns() // 1_000_000)
            begin, wall = time.process_time(), time.perf_counter()
            told = import_history(Lake(Path(name) / path.suffix), Identity(b"s" * 32), order)
            assert told.events == rows, told.refused
            spent, passed = time.process_time() - begin, time.perf_counter() - wall
            print(f"{path.suffix[1:]:8} {rows / spent:9,.0f} rows/s per core   ({passed:.1f} s on the clock)")
    print(f"most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB, the made rows included")


if __name__ == "__main__":
    main()
