"""Analysts see groups, and of people only those who consent to it.

Rows of everybody else stay, so that counts and the ledger's equations stay exact, but they tell nobody: keys, session,
search words, properties and what links two rows are gone (`<table>_hide.sql`). One statement does that to the rows that
the loader is about to add, to the day that the night is about to put in place, and, when somebody withdraws, to what
lies in the tables: whoever asks after it sees it done, and the rows themselves are written anew behind it.
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
PATCHED = ("events", "served")  # of which the statement is an UPDATE
ACCOUNTS = "accounts"  # the lake's folder of account events: those of imports never were in Kafka
AT_ONCE = 200_000  # people hidden by one statement
LOOK_S = 0.05
RETRY_S = 1.0
SETTLE_S = 30.0  # old values lie on the disk for so long, and the rewriting
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
    """Takes people out of rows. Safe to use from several threads: there is one list of people in the database."""

    def __init__(self, engine: Engine, withheld: Withheld) -> None:
        self._engine, self.withheld = engine, withheld
        self._list = threading.Lock()

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
        with self._list:
            self._forget()  # of a pass that was killed
            try:
                head = "INSERT INTO withheld (app_id, user_key)"
                self._engine.insert(head, "\n".join(lines).encode(), format="JSONCompactEachRow")
                for sql in split(statement(f"{table}_hide")):
                    self._engine.query(sql, params={"table": where or table}, settings=_SYNC)
            finally:
                self._forget()

    def settle(self, table: str, *, wait: bool) -> None:
        """Writes the rows anew that `hide` has changed: of staged ones a day can be made only then, and `wait` must be.
        Else the engine does it when it can."""
        self._engine.query(statement("apply_patches"), params={"table": table}, settings=_SYNC if wait else None)

    def _forget(self) -> None:
        self._engine.query("TRUNCATE TABLE withheld")


class Hider(threading.Thread):
    """Hides who has withdrawn in what lies in the tables.

    At once, whoever has the turn. A range, or the night's day, that was under way then may bring rows that were staged
    before the word: passes follow, with pauses, until one of them is in the hider's own turn.
    """

    def __init__(self, hiding: Hiding, turn: threading.RLock, metrics: Metrics, *, settle_s: float = SETTLE_S) -> None:
        super().__init__(name="hider", daemon=True)
        self._hiding, self._turn, self._metrics, self._settle_s = hiding, turn, metrics, settle_s
        self._stopping = threading.Event()
        self._open: dict[Person, float] = {}  # hidden, but a range may bring more of them
        self._settle_at: float | None = None

    def stop(self) -> None:
        """Ends the thread after the pass at hand."""
        self._stopping.set()

    def run(self) -> None:
        """Until `stop`."""
        pause_s = LOOK_S
        while not self._stopping.wait(0.0 if self._open else pause_s):
            pause_s = max(LOOK_S, SHARE * self.step(pause_s))

    def step(self, patience_s: float = 0.0) -> float:
        """One pass, if somebody is to be hidden; returns how many seconds it took. One that follows another waits up to
        `patience_s` for the turn."""
        mine = bool(self._open) and self._turn.acquire(timeout=patience_s)
        began = time.monotonic()
        try:
            news = self._hiding.withheld.take_news()
            self._open = {**news, **self._open}
            if not self._open:
                self._settle_when_due(began)
                return 0.0
            mine = mine or self._turn.acquire(blocking=False)
            for table in TABLES:
                self._hiding.hide(self._open, table)
                self._metrics.counter("foryou_analytics_hidden_total", table=table).inc(len(news))
            if self._settle_at is None:
                self._settle_at = began + self._settle_s
            if mine:
                done = time.monotonic() - min(self._open.values())
                self._metrics.histogram("foryou_analytics_hide_seconds").observe(done)
                self._open = {}
        except QueryError as error:
            log.warning("people cannot be hidden; trying again", extra={"reason": str(error)[:500]})
            self._hiding.withheld.put_back(self._open)
            self._open = {}
            return RETRY_S / SHARE
        finally:
            if mine:
                self._turn.release()
        return time.monotonic() - began

    def _settle_when_due(self, now: float) -> None:
        if self._settle_at is None or now < self._settle_at:
            return
        for table in PATCHED:
            self._hiding.settle(table, wait=False)
        self._settle_at = None
