"""What a statement is, by its tokens."""

import pytest

from foryou.analytics.errors import QueryError
from foryou.analytics.statement import INSIDE, Statement, read, refuse_outside, settings_named, split


@pytest.mark.parametrize(
    ("sql", "verb", "format_name"),
    [
        ("select 1", "SELECT", None),
        ("  -- why\n/* and */ (SELECT 1) UNION ALL (SELECT 2) FORMAT JSONEachRow;", "SELECT", "JSONEachRow"),
        ("WITH x AS (SELECT ';') SELECT * FROM x ; ", "WITH", None),
        ("FROM t SELECT `format`", "FROM", None),
        ("SELECT $tag$ ; FORMAT x $tag$", "SELECT", None),
        ("DROP TABLE t", "DROP", None),
    ],
)
def test_its_verb_and_format_are_found(sql, verb, format_name):
    assert read(sql) == Statement(verb, format_name)


@pytest.mark.parametrize("sql", ["", " -- nothing", "SELECT 1; DROP TABLE t", "SELECT ';'; SELECT 2"])
def test_none_and_more_than_one_are_a_syntax_error(sql):
    with pytest.raises(QueryError) as refused:
        read(sql)
    assert (refused.value.code, refused.value.status) == (62, 400)


@pytest.mark.parametrize(
    ("sql", "head", "format_name", "data"),
    [
        ("INSERT INTO t (a, b) FORMAT CSV\n1;2\n", "INSERT INTO t (a, b) ", "CSV", "1;2\n"),
        ("INSERT INTO t FORMAT Native\r\n\x00", "INSERT INTO t ", "Native", "\x00"),
        ("INSERT INTO `FORMAT` VALUES (1, ';')", "INSERT INTO `FORMAT` ", "Values", " (1, ';')"),
        ("insert into t format JSONEachRow {}", "insert into t ", "JSONEachRow", "{}"),
    ],
)
def test_an_insert_is_parted_from_its_data(sql, head, format_name, data):
    found = read(sql)
    assert (found.head, found.format, sql[found.data_at :]) == (head, format_name, data)


def test_an_insert_of_a_select_has_no_data():
    assert read("INSERT INTO t SELECT 1") == Statement("INSERT")


OUTSIDE = frozenset({"file", "url", "remote", "executable"})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM file('/etc/passwd')",
        "SELECT * FROM /* x */ `FILE` /* y */ ('/etc/passwd')",
        "SELECT file('/etc/passwd')",
        "SELECT $$ ' $$, * FROM url('http://x', 'CSV', 'a String') -- '",
        "SELECT 1 //'\n, * FROM file('/etc/passwd') -- '",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "EXPLAIN SELECT * FROM remote('a', system.one)",
    ],
)
def test_what_leaves_the_database_is_refused(sql):
    with pytest.raises(QueryError) as refused:
        refuse_outside(sql, OUTSIDE)
    assert refused.value.name == "READONLY"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ‘'’, * FROM file('/etc/passwd') -- '",
        "SELECT 1 AS “'”, * FROM file('/etc/passwd') -- '",
        "SELECT * FROM file\u200b('/etc/passwd')",
        "SELECT * FROM file\u00a0('/etc/passwd')",
        "SELECT * FROM file\ufeff('/etc/passwd')",
    ],
)
def test_signs_that_the_engine_reads_in_a_way_of_its_own_are_refused(sql):
    with pytest.raises(QueryError) as refused:
        refuse_outside(sql, OUTSIDE)
    assert refused.value.name == "SYNTAX_ERROR"
    refuse_outside("SELECT 'ü ‘’ −', `ñ`, \"“\" FROM t -- “ ’", OUTSIDE)


@pytest.mark.parametrize("sql", ["SELECT file FROM t", "SELECT 'file(1)'", "SELECT 1 -- url(", 'SELECT "file" FROM t'])
def test_what_only_looks_like_it_is_not(sql):
    refuse_outside(sql, OUTSIDE)


def test_functions_that_stay_inside_are_written_in_lower_case():
    assert {name for name in INSIDE if name != name.lower()} == set()


def test_settings_in_the_statement_are_found():
    sql = "SELECT 1 SETTINGS max_threads = 3, max_execution_time='9' -- max_threads = 8"
    assert settings_named(sql, ["max_threads", "max_execution_time"]) == {"max_threads": "3", "max_execution_time": "9"}


def test_a_script_is_split_at_its_semicolons():
    assert split("-- a;\nSELECT ';' ;\n/* ; */\nSELECT 2;\n-- end;\n") == ["-- a;\nSELECT ';'", "/* ; */\nSELECT 2"]
