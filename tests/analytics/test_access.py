"""Who may do what."""

import re

import pytest

from foryou.analytics.access import ANALYST, STAGED, WRITER, Access, outside, paths
from foryou.analytics.errors import QueryError
from foryou.analytics.migrations import FOLDER
from foryou.analytics.request import parse

PATHS = paths([("disks", "path"), ("disks", "cache_path"), ("tables", "data_paths"), ("tables", "metadata_path")])
ACCESS = Access("key", frozenset({"file"}), PATHS, frozenset({"dialect", "filter", "additional_table_filters"}))


def asking(sql, query_string=""):
    return parse(query_string, {}, sql.encode())


def refusal(ask, user=ANALYST):
    with pytest.raises(QueryError) as refused:
        ACCESS.settings(ask, user)
    return refused.value.name


@pytest.mark.parametrize("user", ["", "default", "analyst"])
def test_who_says_no_password_reads(user):
    assert ACCESS.user(asking("SELECT 1", f"user={user}")) == ANALYST


def test_the_writer_has_a_key():
    assert ACCESS.user(asking("SELECT 1", "user=writer&password=key")) == WRITER
    for who in ("user=writer", "user=writer&password=no", "user=analyst&password=key", "user=root"):
        with pytest.raises(QueryError) as refused:
            ACCESS.user(asking("SELECT 1", who))
        assert (refused.value.code, refused.value.status) == (516, 403)


@pytest.mark.parametrize("sql", ["INSERT INTO t SELECT 1", "DROP TABLE t", "SET x = 1", "KILL QUERY WHERE 1", "USE d"])
def test_the_analyst_only_reads(sql):
    assert refusal(asking(sql)) == "READONLY"
    assert "readonly" not in ACCESS.settings(asking(sql), WRITER)


def test_the_analyst_stays_inside_and_read_only():
    assert refusal(asking("SELECT file('x')")) == "READONLY"
    assert refusal(asking("SELECT 1", "readonly=0")) == "READONLY"
    assert ACCESS.settings(asking("SELECT 1", "max_threads=1"), ANALYST)["readonly"] == "2"


@pytest.mark.parametrize(
    ("sql", "query_string"),
    [
        ("SELECT * FROM withheld", ""),
        ("SELECT 1 WHERE (app, u) IN default.`events_read`", ""),
        ('SELECT * FROM "served_nightly"', ""),
        ("SELECT * FROM `with\\x68eld`", ""),
        ("DESCRIBE parity_nightly", ""),
        ("SELECT * FROM {t:Identifier}", "param_t=withheld"),
        ("SELECT * FROM default.{t:Identifier}", "param_t=%60events_planned%60"),
        ("SELECT * FROM {t:Identifier}", "param_t=default.days_nightly"),
    ],
)
def test_the_analyst_does_not_see_what_is_not_hidden_yet(sql, query_string):
    assert refusal(asking(sql, query_string)) == "ACCESS_DENIED"
    ACCESS.settings(asking(sql, query_string), WRITER)


def test_what_only_sounds_like_it_is_read():
    ACCESS.settings(asking("SELECT 'withheld', {s:String} FROM events -- withheld", "param_s=withheld"), ANALYST)
    ACCESS.settings(asking("SELECT * FROM {t:Identifier}", "param_t=events"), ANALYST)


@pytest.mark.parametrize(
    ("sql", "query_string"),
    [
        ("SELECT path FROM system.disks", ""),
        ("SELECT name FROM system . `disks` WHERE `path` LIKE '/home%'", ""),
        ("SELECT * FROM system.disks", ""),
        ("SELECT d.* EXCEPT (path) FROM system.disks AS d", ""),
        ("SELECT DISTINCT ON (name) * FROM system.disks", ""),
        ("SELECT COLUMNS('pa') FROM system.disks", ""),
        ("SELECT untuple(tuple(*)) FROM system.tables", ""),
        ("FROM system.disks", ""),
        ("EXPLAIN FROM system.disks", ""),
        ("SELECT x.2 FROM (SELECT (FROM system.disks LIMIT 1) AS x)", ""),
        ("SELECT name FROM system.disks UNION ALL FROM system.disks", ""),
        ("SHOW TABLES WHERE name = (FROM system.disks LIMIT 1)", ""),
        ("SELECT * FROM disks", "database=system"),
        ("SELECT * FROM {t:Identifier}", "database=system&param_t=disks"),
        ("SELECT path FROM {d:Identifier}.disks", "param_d=system"),
        ("SELECT {c:Identifier} FROM system.disks", "param_c=path"),
        ("SELECT arrayJoin(data_paths) FROM system.tables", ""),
        ("SELECT value FROM system.server_settings WHERE name = 'path'", ""),
        ("SELECT last_error_message FROM system.errors", ""),
    ],
)
def test_the_analyst_does_not_see_where_the_servers_files_lie(sql, query_string):
    assert refusal(asking(sql, query_string)) == "ACCESS_DENIED"
    ACCESS.settings(asking(sql, query_string), WRITER)


def test_a_function_that_says_it_is_refused():
    assert refusal(asking("SELECT getServerSetting('path')")) == "READONLY"


@pytest.mark.parametrize(
    ("sql", "query_string"),
    [
        ("SELECT name, comment FROM system.tables WHERE database = 'foryou'", ""),
        ("WITH t AS (SELECT name, total_rows FROM system.tables) SELECT name FROM t ORDER BY name", ""),
        ("SELECT count(*), sum(free_space) FROM system.disks WHERE 'path' IS DISTINCT FROM name", ""),
        ("SELECT * FROM (SELECT path, 'system.disks' FROM events) AS disks", ""),
        ("SELECT * FROM foryou.disks", ""),
        ("SHOW TABLES FROM system", "database=system"),
        ("DESCRIBE system.disks", ""),
        ("SELECT {c:Identifier} FROM system.disks", "param_c=name"),
        ("SELECT * FROM system.columns", ""),
    ],
)
def test_what_else_the_system_tables_say_is_read(sql, query_string):
    ACCESS.settings(asking(sql, query_string), ANALYST)


def test_every_table_that_is_staged_is_known():
    made = "".join(path.read_text("utf-8") for path in sorted(FOLDER.glob("*.sql")))
    tables = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", made))
    assert {
        name for name in tables if name.startswith("withheld") or re.search("_(read|planned|nightly)$", name)
    } == STAGED


def test_limits_are_set_and_cannot_be_lifted():
    assert ACCESS.settings(asking("SELECT 1"), ANALYST)["max_execution_time"] == "60"
    assert ACCESS.settings(asking("SELECT 1", "max_execution_time=5"), ANALYST)["max_execution_time"] == "5"
    for ask in (
        asking("SELECT 1", "max_execution_time=0"),
        asking("SELECT 1", "max_memory_usage=99999999999"),
        asking("SELECT 1 SETTINGS max_execution_time = 0"),
    ):
        assert refusal(ask) == "SETTING_CONSTRAINT_VIOLATION"


def test_a_function_that_is_new_in_an_engine_is_outside():
    assert outside(["numbers", "fileNew"], frozenset({"numbers"})) == {"filenew"}


@pytest.mark.parametrize(
    ("sql", "query_string"),
    [
        ("SELECT 1", "dialect=prql"),
        ("SELECT 1 SETTINGS filter = 'x'", ""),
        ("SELECT 1 FROM t SETTINGS apply_patch_parts = 0", ""),
        ("SELECT 1", "apply_patch_parts=0"),
        ("SELECT 1 FROM t SETTINGS max_threads = 1, `filter` = 'x'", ""),
        ("SELECT 1 FROM (SELECT 1 SETTINGS additional_table_filters = {'t': '1'})", ""),
    ],
)
def test_a_setting_that_may_hold_a_statement_is_the_writers(sql, query_string):
    assert refusal(asking(sql, query_string)) == "SETTING_CONSTRAINT_VIOLATION"
    ACCESS.settings(asking(sql, query_string), WRITER)


def test_a_column_may_have_a_settings_name():
    ACCESS.settings(asking("SELECT a, filter = 'x' FROM t WHERE dialect = 'y' SETTINGS max_threads = 1"), ANALYST)
    ACCESS.settings(asking("SELECT 1", "log_comment=x"), ANALYST)
