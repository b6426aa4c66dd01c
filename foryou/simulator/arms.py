"""The same people, given other videos: what a random and a popular feed would have been worth. Nothing of it is sent.

Each person gets, in each arm, exactly as many videos as they were shown live; joy is the truth with fatigue, as live.
Popular has every advantage that a feed without persons can have: it knows the likes of the whole run before it began.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foryou.simulator.people import Watched, World

POPULAR_MOST = 2_000
LEARNT_PAGES = 5  # after so many pages a feed had its chance to learn


@dataclass(frozen=True)
class Enjoyment:
    """Mean over people (each person counts once) and its standard error."""

    mean: float
    error: float
    people: int

    def interval(self) -> tuple[float, float]:
        """The 95 % interval by the normal approximation."""
        return self.mean - 1.96 * self.error, self.mean + 1.96 * self.error


@dataclass(frozen=True)
class Arms:
    """Ours, what it was before it had learnt and after, and the two comparisons."""

    ours: Enjoyment
    ours_first_page: Enjoyment
    ours_learnt: Enjoyment
    random: Enjoyment
    popular: Enjoyment


def compare(world: World, watched: Sequence[Watched], seed: int) -> Arms:
    """Evaluates all arms for the people of a diary. Raises ValueError when nobody watched anything."""
    if not watched:
        raise ValueError("nobody watched anything: there is nothing to compare")
    by_person: dict[int, list[Watched]] = {}
    for line in watched:
        by_person.setdefault(line.person, []).append(line)
    first_page = {person: min(line.page for line in lines) for person, lines in by_person.items()}
    allowed = np.flatnonzero(~world.catalogue.blocked)
    popular = most_liked(watched)
    return Arms(
        ours=over_people([_joy(lines) for lines in by_person.values()]),
        ours_first_page=over_people(
            [_joy([line for line in lines if line.page == first_page[person]]) for person, lines in by_person.items()]
        ),
        ours_learnt=over_people(
            [
                _joy(later)
                for person, lines in by_person.items()
                if (later := [line for line in lines if line.page >= first_page[person] + LEARNT_PAGES])
            ]
        ),
        random=over_people(
            [_of(world, person, _random(allowed, len(lines), seed, person)) for person, lines in by_person.items()]
        ),
        popular=over_people(
            [_of(world, person, _shuffled(popular[: len(lines)], seed, person)) for person, lines in by_person.items()]
        ),
    )


def most_liked(watched: Sequence[Watched]) -> list[int]:
    """Rows by likes of the run, then by how often they were watched beyond two seconds."""
    likes, views = Counter[int](), Counter[int]()
    for line in watched:
        likes[line.row] += line.liked
        views[line.row] += not line.skipped
    return sorted(views, key=lambda row: (-likes[row], -views[row], row))[:POPULAR_MOST]


def over_people(values: Sequence[float]) -> Enjoyment:
    """Mean and standard error."""
    if not values:
        return Enjoyment(math.nan, math.nan, 0)
    spread = np.array(values).std(ddof=1) if len(values) > 1 else math.nan
    return Enjoyment(float(np.mean(values)), float(spread / math.sqrt(len(values))), len(values))


def _joy(lines: Sequence[Watched]) -> float:
    return float(np.mean([line.joy for line in lines]))


def _of(world: World, person: int, rows: list[int]) -> float:
    return float(np.mean(world.truth.of_sequence(person, rows)))


def _random(allowed: NDArray[np.int64], count: int, seed: int, person: int) -> list[int]:
    drawn: list[int] = np.random.default_rng([seed, 5, person]).choice(allowed, count).tolist()
    return drawn


def _shuffled(rows: list[int], seed: int, person: int) -> list[int]:
    # Popular pages are shown in a mixed order, so that a streak of one genre is chance and not the ranking's fault.
    order = np.random.default_rng([seed, 6, person]).permutation(len(rows))
    return [rows[place] for place in order]
