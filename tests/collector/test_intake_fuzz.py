"""Some two thousand hostile bodies at every door; `make fuzz-intake` sends a million."""

import asyncio
import itertools
import logging

import pytest

from bench import intake_fuzz


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_hostile_body_is_a_500_and_every_refusal_names_field_and_remedy(seed):
    outcome = asyncio.run(intake_fuzz.run(1_000, seed))

    assert outcome.failures == []
    assert {200, 202, 400, 401, 413, 415, 422} <= outcome.statuses.keys()


def test_every_sample_is_taken_as_it_is():
    async def statuses():
        target = intake_fuzz.Target()
        return {
            (sample.target, sample.content_type): (await target.send(authorized(sample))).status
            for sample in intake_fuzz.samples()
        }

    def authorized(sample):
        return intake_fuzz.Sample(
            sample.target,
            sample.content_type,
            sample.body,
            (*sample.headers, ("authorization", f"Bearer {intake_fuzz.KEY}")),
        )

    assert set(asyncio.run(statuses()).values()) == {200, 202}


def test_the_same_seed_is_the_same_bodies():
    def first(seed):
        return list(itertools.islice(intake_fuzz.bodies(seed), 200))

    assert first(5) == first(5) != first(6)


def test_growth_is_seen():
    assert intake_fuzz.slope([(at, 100 + at / 1e4) for at in range(0, 100_000, 1_000)]) == pytest.approx(100)
    assert intake_fuzz.slope([(at, 100.0) for at in range(0, 100_000, 1_000)]) == 0
