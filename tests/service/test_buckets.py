"""Token buckets: what passes, what waits, and how much is remembered."""

from hypothesis import given
from hypothesis import strategies as st

from foryou.service.buckets import DAY_MS, Buckets, Quotas

NOW_S = 1_000.0


def test_a_burst_passes_and_then_one_at_a_time():
    buckets = Buckets(per_s=10, burst=3, entries=10)
    assert [buckets.take("a", 1, NOW_S) for _ in range(3)] == [0, 0, 0]
    wait_s = buckets.take("a", 1, NOW_S)
    assert 0.099 < wait_s < 0.101
    assert buckets.take("a", 1, NOW_S + wait_s) == 0
    assert buckets.take("a", 1, NOW_S + wait_s) > 0


def test_one_who_sends_too_much_holds_nobody_else_back():
    buckets = Buckets(per_s=1, burst=1, entries=10)
    assert (buckets.take("a", 1, NOW_S), buckets.take("b", 1, NOW_S)) == (0, 0)
    assert buckets.take("a", 1, NOW_S) > 0


def test_what_is_refused_takes_nothing():
    buckets = Buckets(per_s=1, burst=10, entries=10)
    assert buckets.take("a", 8, NOW_S) == 0
    assert all(buckets.take("a", 5, NOW_S) > 0 for _ in range(100))
    assert buckets.take("a", 2, NOW_S) == 0


def test_more_than_a_bucket_holds_passes_when_it_is_full_and_leaves_a_debt():
    buckets = Buckets(per_s=1, burst=2, entries=10)
    assert buckets.take("a", 10, NOW_S) == 0
    assert buckets.take("a", 1, NOW_S + 8) > 0
    assert buckets.take("a", 1, NOW_S + 9) == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=80))
def test_in_no_span_of_time_does_more_pass_than_the_burst_and_what_flowed_in(knocks):
    per_s, burst, now_s, passed = 2.0, 5, NOW_S, []
    buckets = Buckets(per_s, burst, 4)
    for tenths, cost in knocks:
        now_s += tenths / 10
        if buckets.take("a", cost, now_s) == 0:
            passed.append((now_s, cost))
    for first, (began, _) in enumerate(passed):
        total = 0
        for ended, cost in passed[first:]:
            total += cost
            assert total <= burst + (ended - began) * per_s + 1e-6


def test_memory_is_bounded_and_the_one_idle_longest_is_forgotten():
    buckets = Buckets(per_s=1, burst=1, entries=3)
    for name in "abc":
        buckets.take(name, 1, NOW_S)
    buckets.take("a", 1, NOW_S)  # refused: a was there all along
    buckets.take("d", 1, NOW_S)
    assert len(buckets) == 3
    assert buckets.take("c", 1, NOW_S) > 0
    assert buckets.take("a", 1, NOW_S) == 0  # forgotten, so full again: one burst is forgiven


@given(st.lists(st.text(max_size=3), max_size=200))
def test_however_many_names_come_no_more_are_remembered(names):
    buckets = Buckets(per_s=1, burst=1, entries=7)
    for name in names:
        buckets.take(name, 1, NOW_S)
    assert len(buckets) <= 7


def test_a_quota_lasts_for_a_utc_day():
    quotas, noon = Quotas(), 20_000 * DAY_MS + DAY_MS // 2
    assert quotas.take("k", 9, 10, noon) == 0
    assert quotas.take("k", 2, 10, noon) == DAY_MS / 2_000
    assert quotas.take("other", 10, 10, noon) == 0
    assert quotas.take("k", 1, 10, noon) == 0
    assert quotas.take("k", 10, 10, noon + DAY_MS // 2) == 0
