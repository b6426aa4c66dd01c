"""The files of the past, read a few thousand rows at a time: Parquet, NDJSON, CSV (the last two also as .gz)."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import pyarrow.parquet as pq
from pyarrow.lib import ArrowException

FORMATS = {".parquet": "parquet", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson", ".csv": "csv"}
BATCH_ROWS = 8_192  # enough to pay for a batch, little enough to stay in the cache
_QUOTED = re.compile(r'(?:\A|(?<=[,\r\n]))"(?:[^"]|"")*+(?P<closed>"?)')  # a cell in quotes
_NEW_LINE = re.compile(r"\r\n?|\n")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class SourceUnreadable(Exception):
    """A file that is not what its name or --format says; the message is the one sentence to show."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that could not be told apart into fields: its number from 0, its line from 1, what was wrong."""

    row: int
    line: int
    reason: str
    detail: str
    remedy: str
    body: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, column by column. `rows`: numbers from 0 in the file, bad ones counted; `lines`: from 1."""

    rows: list[int]
    lines: list[int]
    columns: dict[str, list[Any]]
    consumed: int  # bytes of the file, this batch included
    bad: list[Unreadable] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines of NDJSON as they are."""

    rows: list[int]
    lines: list[int]
    raws: list[bytes]
    consumed: int


@dataclass(frozen=True)
class Source:
    """A file and its format."""

    path: Path
    format: str

    def names(self) -> list[str] | None:
        """The columns that the file itself names; None for NDJSON, where every line has its own."""
        if self.format == "parquet":
            return list(_parquet(self.path).schema_arrow.names)
        if self.format == "csv":
            with _to_its_end(self.path), _bytes(self.path) as raw:
                return _header(self.path, csv.reader(_text(raw), strict=True))
        return None

    def batches(self) -> Iterator[Rows]:
        """All rows, column by column. Raises SourceUnreadable."""
        if self.format == "parquet":
            return _parquet_rows(self.path)
        return _csv_rows(self.path) if self.format == "csv" else _json_rows(self)

    def raw_lines(self) -> Iterator[Lines]:
        """The lines of NDJSON that are not empty. Raises SourceUnreadable."""
        with _to_its_end(self.path), _bytes(self.path) as raw:
            rows, lines, raws, consumed = [], [], [], 0
            row = 0
            for line, text in enumerate(raw, 1):
                consumed += len(text)
                text = text.strip()
                if text:
                    rows.append(row)
                    lines.append(line)
                    raws.append(text)
                    row += 1
                if len(raws) == BATCH_ROWS:
                    yield Lines(rows, lines, raws, _position(raw, consumed))
                    rows, lines, raws = [], [], []
            if raws:
                yield Lines(rows, lines, raws, _position(raw, consumed))


def source(path: Path, kind: str | None) -> Source:
    """The file in the format that `kind`, or else its suffix, names. Raises SourceUnreadable."""
    if not path.is_file():
        raise SourceUnreadable(f"{path} is not a file.")
    suffixes = path.suffixes
    suffix = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else path.suffix
    found = kind or FORMATS.get(suffix.lower())
    if found not in set(FORMATS.values()):
        raise SourceUnreadable(f"{path.name} has no suffix that is known here: say --format parquet, ndjson or csv.")
    return Source(path, found)


@contextmanager
def _to_its_end(path: Path) -> Iterator[None]:
    """Says which file it was that turned out to be damaged while it was read. Raises SourceUnreadable."""
    try:
        yield
    except (OSError, EOFError, zlib.error, ArrowException) as error:
        raise SourceUnreadable(f"{path.name} cannot be read to its end: {error}") from error


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow.lib.ArrowInvalid is a ValueError
        raise SourceUnreadable(f"{path.name} is no Parquet file: {error}") from error


def _parquet_rows(path: Path) -> Iterator[Rows]:
    file, size = _parquet(path), path.stat().st_size
    total, row = max(1, file.metadata.num_rows), 0
    with _to_its_end(path):
        for batch in file.iter_batches(BATCH_ROWS):
            columns = dict(zip(batch.schema.names, (column.to_pylist() for column in batch.columns), strict=True))
            end = row + batch.num_rows
            yield Rows(list(range(row, end)), list(range(row + 1, end + 1)), columns, size * end // total)
            row = end


def _json_rows(source: Source) -> Iterator[Rows]:
    for batch in source.raw_lines():
        rows, lines, objects, bad = [], [], [], []
        for row, line, raw in zip(batch.rows, batch.lines, batch.raws, strict=True):
            try:
                objects.append(_decode(raw))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                told = raw.decode("utf-8", "replace")
                bad.append(Unreadable(row, line, "not_json", str(error), "one JSON object a line, in UTF-8", told))
            else:
                rows.append(row)
                lines.append(line)
        names = dict.fromkeys(name for found in objects for name in found)
        columns = {name: [found.get(name) for found in objects] for name in names}
        yield Rows(rows, lines, columns, batch.consumed, bad)


def _csv_rows(path: Path) -> Iterator[Rows]:
    with _to_its_end(path), _bytes(path) as raw:
        reader = csv.reader(_text(raw), strict=True)
        names = _header(path, reader)
        rows: list[int] = []
        lines: list[int] = []
        found: list[list[str]] = []
        bad: list[Unreadable] = []
        row = 0
        while True:
            first = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                _refuse_open_quote(path, first, reader.line_num)
                bad.append(Unreadable(row, reader.line_num, "not_csv", str(error), "quote as RFC 4180 says", ""))
                row += 1
                continue
            if cells is None or len(found) == BATCH_ROWS:
                columns = dict(zip(names, map(list, zip(*found, strict=True)), strict=True)) if found else {}
                yield Rows(rows, lines, columns, raw.tell() if path.suffix != ".gz" else _position(raw, 0), bad)
                rows, lines, found, bad = [], [], [], []
            if cells is None:
                return
            if not cells:
                continue
            wrong = _wrong_cells(cells, len(names))
            if len(cells) != len(names) and reader.line_num > first:
                _refuse_open_quote(path, first, reader.line_num)
            if wrong is None:
                rows.append(row)
                lines.append(reader.line_num)
                found.append(cells)
            else:
                body = ",".join(cells).encode("utf-8", "replace").decode()
                bad.append(Unreadable(row, reader.line_num, "not_csv", *wrong, body))
            row += 1


def _refuse_open_quote(path: Path, first: int, last: int) -> None:
    """Refuses the file when a quote in the row of these lines is not closed, or is by one that was to open another:
    what lies between would be one cell. Raises SourceUnreadable."""
    with _bytes(path) as raw:
        text = "".join(islice(_text(raw), first - 1, last))
    quoted = list(_QUOTED.finditer(text))
    of_many_lines = (cell for cell in quoted if _NEW_LINE.search(cell[0]))
    found = next((cell for cell in quoted if text[cell.end() : cell.end() + 1] not in ",\r\n"), None)
    found = found or next((cell for cell in quoted if not cell["closed"]), None) or next(of_many_lines, None)
    if found is None or (found["closed"] and not _NEW_LINE.search(found[0])):
        return
    line = first + len(_NEW_LINE.findall(text, 0, found.start()))
    told = f"{path.name}:{line}: a quote opens here and is not closed where its cell ends"
    remedy = "close it, and write a quote inside of a text in quotes twice"
    raise SourceUnreadable(f"{told}: the rows after it would become one cell. Nothing is imported; {remedy}.")


def _wrong_cells(cells: list[str], expected: int) -> tuple[str, str] | None:
    if len(cells) != expected:
        return f"{len(cells)} cells where the header has {expected}", "a cell for every column; quote commas in text"
    text = "".join(cells)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # a byte that is not UTF-8, see _text
            return "not UTF-8", "encode the file as UTF-8"
    return None


def _header(path: Path, reader: Any) -> list[str]:
    try:
        names = next(reader, None)
    except csv.Error as error:
        _refuse_open_quote(path, 1, reader.line_num)
        raise SourceUnreadable(f"the header line of {path.name} is no CSV: {error}") from error
    if not names or len(set(names)) != len(names):
        raise SourceUnreadable(f"{path.name} has no header line that names every column once.")
    return list(names)


def _bytes(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _text(raw: BinaryIO) -> io.TextIOWrapper:
    # surrogateescape: a byte that is not UTF-8 spoils its row, not the file
    return io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="")


def _position(raw: BinaryIO, consumed: int) -> int:
    """Bytes of the file on disk that were read: of a packed one, the packed bytes."""
    return int(raw.fileobj.tell()) if isinstance(raw, gzip.GzipFile) and raw.fileobj else consumed
