"""Numbered migrations."""

import pytest

from foryou.analytics.migrations import Migration, MigrationError, load, pending
from foryou.analytics.statement import split

FIRST, SECOND = Migration(1, "first", "SELECT 1"), Migration(2, "second", "SELECT 2")


def test_only_what_was_not_applied_is_pending():
    assert pending([FIRST, SECOND], {}) == [FIRST, SECOND]
    assert pending([FIRST, SECOND], {1: FIRST.checksum}) == [SECOND]
    assert pending([FIRST], {1: FIRST.checksum}) == []


def test_a_file_that_was_changed_after_it_was_applied_is_an_error_that_says_so():
    with pytest.raises(MigrationError, match="0001_first was changed after it was applied"):
        pending([Migration(1, "first", "SELECT 3")], {1: FIRST.checksum})


def test_data_of_a_newer_version_are_not_touched():
    with pytest.raises(MigrationError, match="0002 was applied, but has no file"):
        pending([FIRST], {1: FIRST.checksum, 2: SECOND.checksum})


def test_numbers_have_no_holes(tmp_path):
    (tmp_path / "0001_a.sql").write_text("SELECT 1")
    (tmp_path / "0003_b.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="without holes"):
        load(tmp_path)
    (tmp_path / "later.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="NNNN_name"):
        load(tmp_path)


def test_every_statement_of_ours_can_run_twice():
    statements = [statement for migration in load() for statement in split(migration.sql)]
    assert len(statements) > 20
    twice = ("IF NOT EXISTS", "CREATE OR REPLACE VIEW", "COMMENT COLUMN", "MODIFY COMMENT", "MODIFY SETTING", "WHERE 0")
    assert [s for s in statements if not any(words in s for words in twice)] == []
