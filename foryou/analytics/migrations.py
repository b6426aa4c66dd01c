"""The tables and views, as numbered SQL files, each applied once, in order, and remembered with its checksum."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from foryou.analytics.engine import DATABASE, Engine
from foryou.analytics.statement import split
from foryou.service.settings import REPO

FOLDER = REPO / "infra" / "clickhouse" / "migrations"
_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_BOOK = """CREATE TABLE IF NOT EXISTS migrations (number UInt32, name String, checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = MergeTree ORDER BY number
    COMMENT 'Migrations that have been applied, by number.'"""
_APPLIED = "SELECT number, name, checksum FROM migrations ORDER BY number FORMAT JSONEachRow"
_REMEMBER = "INSERT INTO migrations (number, name, checksum) SELECT {number:UInt32}, {name:String}, {checksum:String}"


class MigrationError(Exception):
    """The migrations in the folder and those in the database do not fit; the text says which."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load(folder: Path = FOLDER) -> list[Migration]:
    """The migrations of a folder, by number. Raises MigrationError for a name or number out of order."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise MigrationError(f"{path.name}: a migration is named NNNN_name.sql")
        found.append(Migration(int(name[1]), name[2], path.read_text("utf-8")))
    if [each.number for each in found] != list(range(1, len(found) + 1)):
        numbers = ", ".join(f"{each.number:04}" for each in found)
        raise MigrationError(f"migrations are numbered 0001, 0002, … without holes, not {numbers}")
    return found


def pending(migrations: list[Migration], applied: dict[int, str]) -> list[Migration]:
    """Those that are still to be applied, given number → checksum of those that were. Raises MigrationError."""
    known = {migration.number: migration for migration in migrations}
    for number, checksum in applied.items():
        if number not in known:
            raise MigrationError(f"migration {number:04} was applied, but has no file: a newer version made this data")
        if known[number].checksum != checksum:
            name = known[number].name
            raise MigrationError(f"migration {number:04}_{name} was changed after it was applied: write a new one")
    return [migration for migration in migrations if migration.number > max(applied, default=0)]


def apply(engine: Engine, migrations: list[Migration]) -> list[Migration]:
    """Applies what is pending and returns it. A file broken off by a crash runs again whole: its statements say
    IF NOT EXISTS. Raises MigrationError and QueryError."""
    engine.query(f"CREATE DATABASE IF NOT EXISTS {DATABASE}", database=None)
    engine.query(_BOOK)
    rows = [json.loads(line) for line in engine.query(_APPLIED).text.splitlines()]
    todo = pending(migrations, {int(row["number"]): row["checksum"] for row in rows})
    for migration in todo:
        for statement in split(migration.sql):
            engine.query(statement)
        about = {"number": str(migration.number), "name": migration.name, "checksum": migration.checksum}
        engine.query(_REMEMBER, params=about)
    return todo
