"""The demo and the freshness bench, small, on the real stack."""

import asyncio
import time

import pytest
from rich.console import Console

from bench.freshness import measure
from foryou.cli.demonstration import Ask, demonstrate
from foryou.cli.simulate import Stack, bars, ensure_catalogue

pytestmark = pytest.mark.timeout(300)
ASK = Ask(people=15, seconds=12, seed=3, rate=200, videos=12_000)


def test_people_live_and_every_equation_holds(stack):
    with bars(Console(quiet=True)) as progress:
        report = asyncio.run(demonstrate(Stack.of(stack.settings), ASK, progress))
    assert [each for each in report.books if not each.holds] == []
    assert report.others.events == 0, "nobody else posts here: what the collector has beyond is invented"
    assert report.trouble == []
    assert report.counts["duplicate"] > 0 or report.counts["rejected"] > 0, "there was mischief to be found"
    assert report.latencies.freshness.count > 0
    assert report.latencies.freshness.max < 10_000, "every probe was seen"


def test_ten_likes_in_a_category_change_the_very_next_page(stack):
    with bars(Console(quiet=True)) as progress:
        for _ in range(3):  # a page that says it is a fallback promised nothing: a busy machine; another visitor asks
            likes = asyncio.run(demonstrate(Stack.of(stack.settings), ASK, progress)).ten_likes
            if likes.fallback is None:
                break
    assert likes.fallback is None
    assert likes.share(likes.before) <= 3
    assert likes.share(likes.after) >= 6


def test_a_published_catalogue_is_not_published_again(stack):
    local = Stack.of(stack.settings)
    local.memory().unlink(missing_ok=True)

    def publish() -> int:
        with bars(Console(quiet=True)) as progress:
            return asyncio.run(ensure_catalogue(local, 1, 12_000, time.time_ns() // 1_000_000, progress))[1]

    assert [publish(), publish()] == [12_000, 0]


def test_a_like_is_read_through_feast_under_load(stack):
    found = asyncio.run(measure(Stack.of(stack.settings), rate=300, seconds=5, probes=3, batch=10))
    assert found.complaints(bound_ms=5_000) == []
    assert found.fresh.count >= 3
