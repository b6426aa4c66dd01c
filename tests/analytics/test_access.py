"""Who may do what."""

import pytest

from foryou.analytics.access import ANALYST, WRITER, Access, outside
from foryou.analytics.errors import QueryError
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
