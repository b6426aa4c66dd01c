"""Who does not consent to analytics is in no row that tells it: loaded, replaced by the night, or there before."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foryou.analytics.consent import ACCOUNTS, SETTLE_S, Hider, Hiding, Withheld
from foryou.analytics.errors import QueryError
from foryou.analytics.loader.loader import SERVED
from foryou.analytics.loader.source import MemorySource, SourceUnavailableError
from foryou.analytics.nightly import Nightly
from foryou.service.gate_settings import ConsentTable
from foryou.service.metrics import Metrics
from tests.integration.clickhouse_tables import empty
from tests.integration.lanes import until
from tests.integration.test_analytics_tables import (
    DAY,
    ENCODE,
    ENCODE_FEED,
    HOUR,
    MADE,
    NOON,
    batch_row,
    event,
    feed,
    load,
    loader_of,
    numbers,
    publish,
    topic_of,
)

SHE, HE = "person1", "person2"
WHOSE = "SELECT DISTINCT user_key FROM events WHERE user_key IN ('', 'person1', 'person2') ORDER BY user_key"
LINKS = """SELECT count() FROM events WHERE user_key = '' AND (device_key IS NOT NULL OR session_id IS NOT NULL
    OR seq IS NOT NULL OR impression_id IS NOT NULL OR request_id IS NOT NULL OR query IS NOT NULL
    OR notEmpty(properties) OR cancels_event_id IS NOT NULL)"""


def word(user_key, consent=None, jurisdiction=None, at=NOON):
    said = {"consent": consent, "jurisdiction": jurisdiction}
    return {"app_id": "demo", "user_key": user_key, "event_id": "e", "event_time": at, "received_at": at, **said}


def withheld_of(*words):
    withheld = Withheld()
    for each in words:
        withheld.apply(each)
    return withheld


def rich(number, **more):
    told = {"device_key": "d", "session_id": "s", "seq": number, "request_id": "r", "impression_id": "i", "query": "q"}
    return event(number) | told | {"cancels_event_id": "c"} | more


def texts(engine, sql):
    return engine.query(sql).text.split("\n")[:-1]


def test_of_whom_has_withdrawn_rows_are_loaded_without_the_person_and_every_count_stays(engine, tmp_path):
    rows = [rich(number, user_key=[SHE, HE, "person3"][number % 3]) for number in range(300)]
    rows.append(rich(300, user_key=HE, event_type="follow", target_user_key=SHE))
    hiding = Hiding(engine, withheld_of(word(SHE, "ads"), word("person3", None, "GDPR"), word(HE, None, "ccpa")))
    load(engine, topic_of(rows), tmp_path, hiding=hiding)
    assert texts(engine, WHOSE) == ["", HE]
    assert numbers(engine, LINKS) == [(0,)]
    assert numbers(engine, "SELECT count(), uniqExact(source_partition, source_offset) FROM events") == [(301, 301)]
    assert numbers(engine, "SELECT countIf(target_user_key IS NOT NULL) FROM events") == [(0,)]
    for view in ("per_minute", "per_hour", "per_day"):
        assert numbers(engine, f"SELECT sum(events) FROM {view}") == [(301,)]
    assert numbers(engine, "SELECT people, events FROM daily_active_people") == [(1, 301)]
    assert numbers(engine, "SELECT cohort, people FROM retention") == [(1, 1)]
    assert numbers(engine, "SELECT max(people) FROM video_performance") == [(1,)]
    assert numbers(engine, "SELECT (SELECT count() FROM withheld) + (SELECT count() FROM events_read)") == [(0,)]


def test_places_of_their_pages_tell_nobody_either(engine, tmp_path):
    source = MemorySource(topic_id=f"topic{next(MADE)}")
    for number in range(3):
        source.append(ENCODE_FEED(feed(number) | {"user_key": [SHE, HE][number % 2]}))
    load(engine, source, tmp_path, of=SERVED, hiding=Hiding(engine, withheld_of(word(SHE, ""))))
    sql = "SELECT user_key, count(), countIf(notEmpty(features)), countIf(impression_id != '') FROM served GROUP BY 1"
    assert texts(engine, f"{sql} ORDER BY 1") == ["\t6\t0\t0", f"{HE}\t3\t3\t3"]


def test_where_no_word_is_a_no_a_person_nobody_heard_of_is_not_in_a_row(engine, tmp_path):
    withheld = Withheld(ConsentTable((), (), "opt_in").law())
    withheld.apply(word(HE, "analytics"))
    load(engine, topic_of([rich(number, user_key=[SHE, HE][number % 2]) for number in range(9)]), tmp_path,
         hiding=Hiding(engine, withheld))  # fmt: skip
    assert texts(engine, WHOSE) == ["", HE]


def test_who_withdraws_is_taken_out_of_what_lies_there_and_who_agrees_again_is_in_what_comes(engine, tmp_path):
    withheld, metrics, turn = Withheld(), Metrics(), threading.RLock()
    hiding = Hiding(engine, withheld)
    hider = Hider(hiding, turn, metrics)
    source = topic_of([rich(number, user_key=[SHE, HE][number % 2]) for number in range(100)])
    load(engine, source, tmp_path, hiding=hiding, turn=turn)
    hider.step()
    assert texts(engine, WHOSE) == [SHE, HE]

    withheld.apply(word(SHE, "", at=NOON + 1))
    hider.step()
    assert (texts(engine, WHOSE), numbers(engine, LINKS)) == (["", HE], [(0,)])
    assert numbers(engine, "SELECT count(), countIf(user_key = '') FROM events") == [(100, 50)]

    withheld.apply(word(SHE, "analytics", at=NOON + 2))
    source.append(ENCODE(rich(100, user_key=SHE)))
    load(engine, source, tmp_path, hiding=hiding, turn=turn)
    hider.step()
    assert numbers(engine, "SELECT count(), countIf(user_key = 'person1') FROM events") == [(101, 1)]


def test_nobody_waits_for_the_turn_and_what_a_range_brings_meanwhile_is_hidden_when_it_ends(engine, tmp_path):
    withheld, turn = Withheld(), threading.RLock()
    hider = Hider(Hiding(engine, withheld), turn, Metrics())
    load(engine, topic_of([rich(number, user_key=[SHE, HE][number % 2]) for number in range(100)]), tmp_path)
    differing = f"SELECT today(), 'v', 'demo', entity FROM values('entity String', '{SHE}', '{HE}')"
    engine.query(f"INSERT INTO parity (day, view, app_id, entity) {differing}")
    with ThreadPoolExecutor(1) as elsewhere:
        with turn:  # a range is under way, its rows are staged
            withheld.apply(word(SHE, ""))
            elsewhere.submit(hider.step).result()
            assert (texts(engine, WHOSE), numbers(engine, LINKS)) == (["", HE], [(0,)])
            load(engine, topic_of([rich(number, user_key=SHE) for number in range(100, 110)]), tmp_path / "range")
            assert numbers(engine, "SELECT countIf(user_key = 'person1') FROM events") == [(10,)]
        elsewhere.submit(hider.step, 5.0).result()
    assert (texts(engine, WHOSE), texts(engine, "SELECT entity FROM parity")) == (["", HE], [HE])
    assert numbers(engine, "SELECT count(), countIf(user_key = '') FROM events") == [(110, 60)]


def test_behind_a_hundred_thousand_events_it_takes_no_second(engine, tmp_path):
    withheld, turn = Withheld(), threading.RLock()
    hiding = Hiding(engine, withheld)
    source = topic_of([rich(number, user_key=f"person{number % 50}") for number in range(100_000)])
    loader = loader_of(engine, source, tmp_path, hiding=hiding, turn=turn, batch_records=50_000)
    hider = Hider(hiding, turn, Metrics())
    loader.start()
    loader.step()
    hers = "SELECT count() FROM events WHERE user_key = 'person1'"
    assert numbers(engine, hers) == [(1_000,)]
    with ThreadPoolExecutor(1) as elsewhere, hiding_beside(hider):
        second = elsewhere.submit(loader.step)
        until("a range is under way", lambda: not _free(turn), 5, every_s=0.001)
        withheld.apply(word(SHE, ""))
        began = seen = time.monotonic()
        while not second.done() or time.monotonic() - seen < 0.5:
            if numbers(engine, hers) != [(0,)]:
                seen = time.monotonic()
        assert second.result() == 50_000
    print(f"withdrawn amid a range of 50,000 → in no row: {(seen - began) * 1_000:.0f} ms")
    assert seen - began < 1.0
    assert numbers(engine, "SELECT count(), countIf(user_key = '') FROM events") == [(100_000, 2_000)]


def _free(turn):
    if mine := turn.acquire(blocking=False):
        turn.release()
    return mine


def test_a_plan_that_waited_is_added_without_who_has_withdrawn_since(engine, tmp_path):
    class Stopped(Hiding):
        def in_staged(self, table, staged):
            raise QueryError(210, "NETWORK_ERROR", "away")

    withheld, source = Withheld(), topic_of([rich(number, user_key=[SHE, HE][number % 2]) for number in range(10)])
    loader = loader_of(engine, source, tmp_path, hiding=Stopped(engine, withheld))
    loader.start()
    with pytest.raises(QueryError):
        loader.step()
    withheld.apply(word(SHE, ""))
    loader_of(engine, source, tmp_path, hiding=Hiding(engine, withheld)).start()
    assert numbers(engine, "SELECT count(), countIf(user_key = '') FROM events") == [(10, 5)]
    assert texts(engine, WHOSE) == ["", HE]


def test_old_values_leave_the_disk_too(engine, tmp_path):
    withheld, now = Withheld(), [1_000.0]
    hider = Hider(Hiding(engine, withheld), threading.RLock(), Metrics(), lambda: now[0])
    load(engine, topic_of([rich(number, user_key=SHE) for number in range(10)]), tmp_path)
    pages = MemorySource(topic_id=f"topic{next(MADE)}")
    pages.append(ENCODE_FEED(feed(1) | {"user_key": SHE}))
    load(engine, pages, tmp_path / "served", of=SERVED)
    withheld.apply(word(SHE, ""))
    hider.step()
    hers = "(SELECT count() FROM {} WHERE user_key != '')"
    behind = f"SELECT {hers.format('events')} + {hers.format('served')}"
    unpatched = {"apply_patch_parts": "0"}
    assert engine.query(behind).text == "0\n"
    assert engine.query(behind, settings=unpatched).text == "13\n"
    engine.query("SYSTEM STOP MERGES events")
    try:
        now[0] += SETTLE_S
        hider.step()  # does not wait
    finally:
        engine.query("SYSTEM START MERGES events")
    until("the rows are written anew", lambda: engine.query(behind, settings=unpatched).text == "0\n", 20)


def test_the_night_says_what_the_loader_says_and_brings_nobody_back(engine, tmp_path):
    words = word(SHE, "ads"), word(HE, "analytics")
    rows = [rich(number, user_key=[SHE, HE][number % 2]) for number in range(60)]
    late = [rich(number, user_key=[SHE, HE][number % 2], time=NOON + 2 * HOUR) for number in range(60, 70)]
    late = [row | {"event_time": row["time"], "received_at": row["time"]} for row in late]
    load(
        engine, topic_of([*rows, *late]), tmp_path / "before"
    )  # she consented then: the rows beyond the cut-off are hers
    publish(tmp_path / "publish", "events", [{**batch_row(0), **row} for row in rows])
    parity = {"view": "v", "app_id": "demo", "facet": None, "tile_ms": 1, "tile_start": NOON, "causes": ["late"]}
    publish(
        tmp_path / "publish", "parity", [{**parity, "entity": each, "speed": "{}", "batch": "{}"} for each in (SHE, HE)]
    )
    publish(tmp_path / "publish", "served", [feed(1) | {"user_key": SHE}], files=1)
    hiding = Hiding(engine, withheld_of(*words))
    for _ in range(2):
        Nightly(engine, tmp_path / "publish", threading.RLock(), hiding=hiding).replace(DAY, NOON + HOUR)
    assert (texts(engine, WHOSE), numbers(engine, LINKS)) == (["", HE], [(0,)])
    assert numbers(engine, "SELECT count(), countIf(user_key = '') FROM events") == [(70, 35)]
    assert numbers(engine, "SELECT people, events FROM daily_active_people") == [(1, 70)]
    assert texts(engine, "SELECT entity FROM parity") == [HE]
    told = texts(engine, "SELECT comment FROM system.tables WHERE database = 'foryou' AND name = 'parity'")
    assert ["Not among them: tiles of people who do not consent" in each for each in told] == [True]
    assert texts(engine, "SELECT DISTINCT user_key FROM served") == [""]
    by_night = sorted(texts(engine, "SELECT event_id, user_key, region FROM events"))

    empty(engine)
    load(engine, topic_of([*rows, *late]), tmp_path / "after", hiding=hiding)
    assert sorted(texts(engine, "SELECT event_id, user_key, region FROM events")) == by_night


def test_what_an_import_says_of_consent_counts_too(engine, tmp_path):
    (tmp_path / ACCOUNTS).mkdir()
    pq.write_table(pa.Table.from_pylist([word(SHE, ""), word(HE)]), tmp_path / ACCOUNTS / "part-0.parquet")
    withheld = withheld_of(word(HE, ""), word(HE, "analytics", at=NOON + 1))
    withheld.read(tmp_path / ACCOUNTS)
    withheld.read(tmp_path / "there is none")
    assert withheld.among([("demo", SHE), ("demo", HE), ("other", SHE)]) == [("demo", SHE)]
    assert set(withheld.take_news()) == {("demo", SHE)}


def test_nothing_is_loaded_while_it_is_not_known_who_consents(engine, tmp_path):
    lacks = "the end of events.account.v1"
    loader = loader_of(engine, topic_of([event(1)]), tmp_path, hiding=Hiding(engine, Withheld(None, lambda: lacks)))
    for way in (loader.start, loader.step):
        with pytest.raises(SourceUnavailableError, match=lacks):
            way()
    assert numbers(engine, "SELECT count() FROM events") == [(0,)]


def test_a_hider_that_fails_tries_again(engine, tmp_path):
    class Broken:
        def query(self, *args, **named):
            raise QueryError(241, "MEMORY_LIMIT_EXCEEDED", "no room")

        insert = query

    withheld = Withheld()
    load(engine, topic_of([event(1, user_key=SHE)]), tmp_path)
    withheld.apply(word(SHE, ""))
    with pytest.raises(QueryError):
        Hider(Hiding(Broken(), withheld), threading.RLock(), Metrics()).step()
    with hiding_beside(Hider(Hiding(engine, withheld), threading.RLock(), Metrics())):
        until("nobody finds her", lambda: texts(engine, WHOSE) == [""], 10, every_s=0.02)


def test_who_agrees_again_while_a_night_goes_on_is_in_what_it_brings(engine, tmp_path):
    withheld, turn = Withheld(), threading.RLock()
    hider = Hider(Hiding(engine, withheld), turn, Metrics())
    with ThreadPoolExecutor(1) as elsewhere:
        with turn:
            withheld.apply(word(SHE, "", at=NOON + 1))
            elsewhere.submit(hider.step).result()
            withheld.apply(word(SHE, "analytics", at=NOON + 2))
            load(engine, topic_of([rich(number, user_key=SHE) for number in range(5)]), tmp_path)
        elsewhere.submit(hider.step, 5.0).result()
    assert texts(engine, WHOSE) == [SHE]


def test_nobody_is_hidden_by_a_word_that_a_later_one_takes_back(engine, tmp_path):
    """At a start the words are read from the first to the last."""
    reading = ["the end of events.account.v1"]
    withheld = Withheld(None, lambda: next(iter(reading), None))
    hider = Hider(Hiding(engine, withheld), threading.RLock(), Metrics())
    load(engine, topic_of([event(1, user_key=SHE)]), tmp_path)
    withheld.apply(word(SHE, ""))
    hider.step()
    withheld.apply(word(SHE, "analytics", at=NOON + 1))
    reading.clear()
    hider.step()
    assert texts(engine, WHOSE) == [SHE]


def test_a_staged_plan_is_not_added_while_it_is_not_known_who_consents(engine, tmp_path):
    class Away(Hiding):
        def in_staged(self, table, staged):
            raise QueryError(210, "NETWORK_ERROR", "away")

    source = topic_of([event(1)])
    loader = loader_of(engine, source, tmp_path, hiding=Away(engine, Withheld()))
    loader.start()
    with pytest.raises(QueryError):
        loader.step()
    loader = loader_of(engine, source, tmp_path, hiding=Hiding(engine, Withheld(None, lambda: "words")))
    publish(tmp_path / "publish", "events", [batch_row(0)])
    with pytest.raises(SourceUnavailableError, match="words"):
        Nightly(engine, tmp_path / "publish", threading.RLock(), loader.finish).replace(DAY, NOON + HOUR)
    assert numbers(engine, "SELECT count() FROM events") == [(0,)]


@contextmanager
def hiding_beside(hider):
    thread = threading.Thread(target=hider.run)
    thread.start()
    try:
        yield
    finally:
        hider.stop()
        thread.join()
