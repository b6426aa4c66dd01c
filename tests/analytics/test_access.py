"""Who may do what."""

import re

import pytest

from foryou.analytics.access import ANALYST, STAGED, WRITER, Access, outside
from foryou.analytics.errors import QueryError
from foryou.analytics.migrations import FOLDER
from foryou.analytics.request import parse

ACCESS = Access("key", frozenset({"file"}))


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


def test_every_table_that_is_staged_is_known():
    made = "".join(path.read_text("utf-8") for path in sorted(FOLDER.glob("*.sql")))
    tables = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", made))
    assert {name for name in tables if name == "withheld" or re.search("_(read|planned|nightly)$", name)} == STAGED


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
