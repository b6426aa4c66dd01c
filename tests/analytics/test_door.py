"""The door before an engine that understands statements in ways of its own."""

import asyncio
from contextlib import closing

import pytest

from foryou.analytics.access import Access
from foryou.analytics.door import Door
from foryou.analytics.engine import Result
from foryou.analytics.errors import QueryError
from foryou.service.metrics import Metrics
from foryou.service.testing import ask
from foryou.service.web import Router

ACCESS = Access("key", frozenset({"file"}), {"disks": frozenset({"path"})}, frozenset({"dialect"}))


class Odd:
    """Says that it has understood `means`."""

    def __init__(self, means):
        self.means, self.ran = means, []

    def query(self, sql, **_):
        if sql.startswith("SELECT formatQuery"):
            return Result(self.means.encode())
        self.ran.append(sql)
        return Result(b"1\n")


def answer_of(engine, query, user="analyst&password="):
    metrics = Metrics()
    with closing(Door(engine, ACCESS, metrics)) as door:
        router = Router(metrics, lambda: [])
        door.add_to(router)
        return asyncio.run(ask(router, "POST", f"/?user={user}", query.encode()))


@pytest.mark.parametrize(
    ("means", "code"),
    [
        ("SELECT * FROM file('/etc/passwd')", b"Code: 164"),
        ("SELECT * FROM withheld", b"Code: 497"),
        ("SELECT path FROM system.disks", b"Code: 497"),
        ("SELECT 1 SETTINGS dialect = 'prql'", b"Code: 452"),
    ],
)
def test_a_statement_is_judged_as_the_engine_understands_it(means, code):
    engine = Odd(means)
    assert answer_of(engine, "SELECT 'harmless'").body.startswith(code)
    assert not engine.ran


def test_what_both_take_for_harmless_is_run_as_it_was_sent():
    engine = Odd("SELECT 'harmless'")
    assert answer_of(engine, "select 'harmless'  -- so").status == 200
    assert engine.ran == ["select 'harmless'  -- so"]


def test_the_writers_statements_are_not_judged():
    engine = Odd("SELECT * FROM withheld")
    assert answer_of(engine, "SELECT 1", user="writer&password=key").status == 200


def test_a_statement_that_the_engine_cannot_write_is_not_run():
    class Mute(Odd):
        def query(self, sql, **more):
            if sql.startswith("SELECT formatQuery"):
                raise QueryError(62, "SYNTAX_ERROR", "Syntax error")
            return super().query(sql, **more)

    engine = Mute("")
    assert answer_of(engine, "SELECT 1").body.startswith(b"Code: 62")
    assert engine.ran == ["EXPLAIN AST SELECT 1"]
