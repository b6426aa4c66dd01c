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
SETTLE_S = 30.0  # old values lie on the disk for so long, and until they are written anew
SHARE = 4  # a pass that repeats another comes so many times its length after it
LAID, STAGED = "withheld", "withheld_staged"  # tables: who is hidden, for the moment of a statement
_WAIT, _DO_NOT_WAIT = {"mutations_sync": "1"}, {"mutations_sync": "0"}
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
    """Takes people out of rows. Safe to use from several threads; of staged rows, by whoever has the turn."""

    def __init__(self, engine: Engine, withheld: Withheld) -> None:
        self._engine, self.withheld = engine, withheld
        self._locks = {people: threading.Lock() for people in (LAID, STAGED)}

    def in_staged(self, table: str, staged: str) -> int:
        """Hides whoever does not consent in `staged`, which has the columns of `table`; returns how many people."""
        if table not in TABLES:
            return 0
        answer = self._engine.query(statement(f"{table}_people"), params={"table": staged}, format="JSONCompactEachRow")
        people = self.withheld.among(tuple(json.loads(line)) for line in answer.data.splitlines())
        self._hide(people, table, staged, STAGED)
        return len(people)

    def hide(self, people: Iterable[Person], table: str) -> None:
        """Hides these people in a table. Whoever asks after it sees it done."""
        self._hide(people, table, table, LAID)

    def settle(self, table: str, *, wait: bool) -> None:
        """Has the rows written anew that were hidden in `table`; a staged day must `wait` for that before it is put in
        place."""
        self._engine.query(
            statement("apply_patches"), params={"table": table}, settings=_WAIT if wait else _DO_NOT_WAIT
        )

    def _hide(self, people: Iterable[Person], table: str, where: str, listed: str) -> None:
        lines = [json.dumps(person) for person in people]
        if not lines:
            return
        with self._locks[listed]:
            self._forget(listed)  # of a pass that was killed
            try:
                head = f"INSERT INTO {listed} (app_id, user_key)"
                self._engine.insert(head, "\n".join(lines).encode(), format="JSONCompactEachRow")
                for sql in split(statement(f"{table}_hide")):
                    self._engine.query(sql, params={"table": where, "people": listed}, settings=_WAIT)
            finally:
                self._forget(listed)

    def _forget(self, listed: str) -> None:
        self._engine.query("TRUNCATE TABLE {t:Identifier}", params={"t": listed})


class Hider:
    """Hides who has withdrawn in what lies in the tables.

    At once, whoever has the turn. A range, or the night's day, that was under way then may bring rows that were staged
    before the word: passes follow, with pauses, until one of them is in the hider's own turn.
    """

    def __init__(
        self, hiding: Hiding, turn: threading.RLock, metrics: Metrics, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._hiding, self._turn, self._metrics, self._clock_s = hiding, turn, metrics, clock_s
        self._stopping = threading.Event()
        self._open: set[Person] = set()  # hidden, but a range may bring more of them
        self._news_at = self._again_at = 0.0  # no pass of either kind before: tables are also there to be read
        self._settle_at: float | None = None

    def stop(self) -> None:
        """Ends `run` after the pass at hand."""
        self._stopping.set()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.wait(0.0 if self._open else LOOK_S):
            try:
                self.step(LOOK_S)
            except QueryError as error:
                log.warning("people cannot be hidden; trying again", extra={"reason": str(error)[:500]})
                self._stopping.wait(RETRY_S)

    def step(self, patience_s: float = 0.0) -> None:
        """Hides who is news, and whoever was hidden before it was the hider's turn; waits for that up to `patience_s`.
        Raises QueryError; nobody is forgotten by it."""
        if self._hiding.withheld.waiting_for() is not None:
            return  # a later word may say the opposite
        mine = bool(self._open) and self._turn.acquire(timeout=patience_s)
        try:
            if self._clock_s() >= self._news_at:
                self._hide_news()
            if self._open and (mine or self._clock_s() >= self._again_at):
                self._hide_again()
                if mine:
                    self._open.clear()
        finally:
            if mine:
                self._turn.release()
        self._settle_when_due()

    def _hide_news(self) -> None:
        news = self._hiding.withheld.take_news()
        if not news:
            return
        began = self._clock_s()
        try:
            for table in PATCHED:
                self._hide(news, table)
                self._metrics.counter("foryou_analytics_hidden_total", table=table).inc(len(news))
        except QueryError:
            self._hiding.withheld.put_back(news)
            raise
        self._open.update(news)
        now = self._clock_s()
        self._metrics.histogram("foryou_analytics_hide_seconds").observe(now - min(news.values()))
        self._news_at, self._again_at = now + (now - began), now + SHARE * (now - began)

    def _hide_again(self) -> None:
        began = self._clock_s()
        self._open.intersection_update(self._hiding.withheld.among(self._open))  # who has agreed is in what comes
        for table in TABLES:
            self._hide(self._open, table)
        now = self._clock_s()
        self._again_at = now + SHARE * (now - began)

    def _hide(self, people: Iterable[Person], table: str) -> None:
        if self._settle_at is None:
            self._settle_at = self._clock_s() + SETTLE_S
        self._hiding.hide(people, table)

    def _settle_when_due(self) -> None:
        if self._settle_at is None or self._clock_s() < self._settle_at:
            return
        for table in PATCHED:
            self._hiding.settle(table, wait=False)
        self._settle_at = None
