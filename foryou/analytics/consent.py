"""Analysts see groups, and of people only those who consent to it.

Rows of everybody else stay, so that counts and the ledger's equations stay exact, but they tell nobody: keys, session,
search words, properties and what links two rows are gone (`<table>_hide.sql`). One statement does that to the rows that
the loader is about to add, to the day that the night is about to put in place, and, when somebody withdraws, to what
lies in the tables.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from foryou.analytics.engine import Engine
from foryou.analytics.errors import QueryError
from foryou.analytics.sql import statement
from foryou.analytics.statement import split
from foryou.contract.consent import Law, Purpose
from foryou.service import consents
from foryou.service.consents import Consents
from foryou.service.metrics import Metrics

log = logging.getLogger(__name__)

TABLES = ("events", "served", "parity")  # those with rows of single people
ACCOUNTS = "accounts"  # the lake's folder of account events: those of imports never were in Kafka
AT_ONCE = 200_000  # people hidden by one statement
LOOK_S = 0.05
RETRY_S = 1.0
SHARE = 4  # a pass over the tables is followed by a pause of so many times its length
_SYNC = {"mutations_sync": "1"}
Person = tuple[str, str]  # app_id, user_key


class Withheld:
    """Who does not consent to analytics. Safe to use from several threads."""

    def __init__(self, law: Law | None = None, waiting_for: Callable[[], str | None] = lambda: None) -> None:
        self._law, self._lacks = law, waiting_for
        self._apps: dict[str, Consents] = {}
        self._news: dict[Person, float] = {}
        self._lock = threading.Lock()

    def waiting_for(self) -> str | None:
        """What is missing before anybody's word can be relied upon."""
        return self._lacks()

    def apply(self, account: Mapping[str, Any]) -> None:
        """Takes one record of account.avsc."""
        person = account["app_id"], account["user_key"]
        with self._lock:
            of = self._apps.setdefault(person[0], Consents(self._law))
            before = of.to(Purpose.ANALYTICS, person[1])
            of.apply(account)
            if before and not of.to(Purpose.ANALYTICS, person[1]):
                self._news.setdefault(person, time.monotonic())

    def read(self, folder: Path) -> None:
        """Takes the account events that the lake has laid down, if it has."""
        for path in sorted(folder.glob("*.parquet")):
            said = pc.field("consent").is_valid() | pc.field("jurisdiction").is_valid()
            for account in pq.read_table(path, columns=sorted(consents.READ), filters=said).to_pylist():
                self.apply(account)

    def among(self, people: Iterable[Person]) -> list[Person]:
        """Those of them who do not consent."""
        with self._lock:
            return [each for each in people if not self._of(each[0]).to(Purpose.ANALYTICS, each[1])]

    def take_news(self, most: int = AT_ONCE) -> dict[Person, float]:
        """People who were taken for consenting until now, and when that changed (monotonic s); each is told once."""
        with self._lock:
            taken = {person: self._news.pop(person) for person in list(self._news)[:most]}
        return {person: taken[person] for person in self.among(taken)}

    def put_back(self, news: Mapping[Person, float]) -> None:
        """They are still to be hidden."""
        with self._lock:
            self._news = {**news, **self._news}

    def _of(self, app_id: str) -> Consents:
        return self._apps.setdefault(app_id, Consents(self._law))


class Hiding:
    """Takes people out of rows. Whoever calls holds the turn: there is one list of people in the database."""

    def __init__(self, engine: Engine, withheld: Withheld) -> None:
        self._engine, self.withheld = engine, withheld

    def in_staged(self, table: str, staged: str) -> int:
        """Hides whoever does not consent in `staged`, which has the columns of `table`; returns how many people."""
        if table not in TABLES:
            return 0
        answer = self._engine.query(statement(f"{table}_people"), params={"table": staged}, format="JSONCompactEachRow")
        people = self.withheld.among(tuple(json.loads(line)) for line in answer.data.splitlines())
        self.hide(people, table, staged)
        return len(people)

    def hide(self, people: Iterable[Person], table: str, where: str | None = None) -> None:
        """Hides these people in a table, or in another one with its columns."""
        lines = [json.dumps(person) for person in people]
        if not lines:
            return
        self._forget()  # of a pass that was killed
        try:
            head = "INSERT INTO withheld (app_id, user_key)"
            self._engine.insert(head, "\n".join(lines).encode(), format="JSONCompactEachRow")
            for sql in split(statement(f"{table}_hide")):
                self._engine.query(sql, params={"table": where or table}, settings=_SYNC)
        finally:
            self._forget()

    def _forget(self) -> None:
        self._engine.query("TRUNCATE TABLE withheld")


class Hider(threading.Thread):
    """Hides who has withdrawn in what lies in the tables, when it is its turn: a range, or the night's day, goes on."""

    def __init__(self, hiding: Hiding, turn: threading.RLock, metrics: Metrics) -> None:
        super().__init__(name="hider", daemon=True)
        self._hiding, self._turn, self._metrics = hiding, turn, metrics
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ends the thread after the pass at hand."""
        self._stopping.set()

    def run(self) -> None:
        """Until `stop`."""
        pause_s = LOOK_S
        while not self._stopping.wait(pause_s):
            pause_s = max(LOOK_S, SHARE * self.step())

    def step(self) -> float:
        """Hides who is news; returns how many seconds that took, the wait for its turn apart."""
        news = self._hiding.withheld.take_news()
        if not news:
            return 0.0
        try:
            with self._turn:
                began = time.monotonic()
                for table in TABLES:
                    self._hiding.hide(news, table)
                    self._metrics.counter("foryou_analytics_hidden_total", table=table).inc(len(news))
        except QueryError as error:
            log.warning("people cannot be hidden; trying again", extra={"reason": str(error)[:500]})
            self._hiding.withheld.put_back(news)
            return RETRY_S / SHARE
        now = time.monotonic()
        self._metrics.histogram("foryou_analytics_hide_seconds").observe(now - min(news.values()))
        return now - began
