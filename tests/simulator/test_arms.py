import numpy as np
import pytest

from foryou.simulator.arms import compare, most_liked, over_people
from foryou.simulator.people import Watched
from foryou.simulator.population import choose
from foryou.simulator.truth import weariness


def watched(world, rows_of, people):
    lines = []
    for person in people.tolist():
        rows = rows_of(person)
        joys = world.truth.of_sequence(person, rows)
        lines += [
            Watched(person, 1 + place // 10, row, joy, joy > 0.7, joy < 0.1)
            for place, (row, joy) in enumerate(zip(rows, joys, strict=True))
        ]
    return lines


def test_a_feed_that_knew_everything_beats_popular_which_beats_random(world):
    allowed = np.flatnonzero(~world.catalogue.blocked)

    def best(person: int) -> list[int]:
        joy = world.truth.enjoyment(person, allowed)
        return allowed[np.argsort(-joy)[:30]].tolist()

    arms = compare(world, watched(world, best, choose(world.population, 60, 1)), seed=1)
    assert arms.ours.mean > arms.popular.mean > arms.random.mean
    assert arms.random.people == arms.popular.people == arms.ours.people == 60


def test_a_feed_at_random_is_worth_what_random_is_worth(world):
    rng = np.random.default_rng(9)
    people = choose(world.population, 80, 1)
    arms = compare(world, watched(world, lambda _: rng.integers(0, len(world.catalogue), 30).tolist(), people), seed=1)
    assert abs(arms.ours.mean - arms.random.mean) < 4 * (arms.ours.error + arms.random.error)


def test_arms_replay_with_their_seed(world):
    lines = watched(world, lambda _: list(range(100, 130)), choose(world.population, 10, 1))
    assert compare(world, lines, seed=4) == compare(world, lines, seed=4)


def test_nobody_watched_is_said():
    with pytest.raises(ValueError, match="nobody watched"):
        compare(None, [], seed=1)  # type: ignore[arg-type]


def test_popular_is_by_likes_then_by_views():
    lines = [
        Watched(1, 1, row=5, joy=0.5, liked=False, skipped=False),
        Watched(2, 1, row=5, joy=0.5, liked=False, skipped=False),
        Watched(1, 1, row=6, joy=0.5, liked=True, skipped=False),
        Watched(1, 1, row=7, joy=0.1, liked=False, skipped=True),
    ]
    assert most_liked(lines) == [6, 5, 7]


def test_the_third_of_a_genre_in_a_row_tires_and_nothing_tires_wholly():
    assert [weariness(streak) for streak in (1, 2)] == [1.0, 1.0]
    assert weariness(3) < 1
    assert weariness(100) == pytest.approx(0.4)


def test_the_error_is_over_people():
    found = over_people([0.2, 0.4, 0.6])
    assert found.mean == pytest.approx(0.4)
    assert found.error == pytest.approx(0.2 / 3**0.5)
