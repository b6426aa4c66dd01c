"""How a person reacts to one video: a pure draw from expected enjoyment. Same person, same video, same reaction."""

import hashlib
import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SKIP_MS = 2_000  # DESIGN's quick skip: a view_end under this of a longer video
STARTUP_MS, STARTUP_SPREAD = 90, 0.5  # median and sigma of a lognormal
SKIP_FROM, SKIP_LEAST, SKIP_MOST = 0.85, 0.03, 0.9  # chance of a quick skip: SKIP_FROM − enjoyment, within the two
ANNOYED_BELOW, NOT_INTERESTED, HIDE_CREATOR = 0.25, 0.06, 0.005
FINISH, EASY_MS, LENGTH_COST = 0.9, 45_000, 0.35  # the longer the video, the fewer see its end
AGAIN, MOST_LOOPS = 0.3, 5
LIKE, UNLIKE, SHARE, COMMENT, VISIT, FOLLOW = 0.45, 0.05, 0.07, 0.05, 0.05, 0.04


@dataclass(frozen=True)
class Reaction:
    """What a person did. watch_ms counts replays too; `loops` is the number of replays."""

    watch_ms: int
    loops: int
    startup_ms: int
    like: bool = False
    unlike: bool = False
    share: bool = False
    comment_length: int = 0
    visit: bool = False
    follow: bool = False
    not_interested: bool = False
    hide_creator: bool = False

    @property
    def skipped(self) -> bool:
        """Swiped away before two seconds."""
        return self.watch_ms < SKIP_MS


def draws(*about: object) -> random.Random:
    """A random stream of its own for whatever it is about: order of events in the run does not matter."""
    digest = hashlib.blake2b("\0".join(map(str, about)).encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


def react(enjoyment: float, duration_ms: int, rng: random.Random) -> Reaction:
    """Draws a reaction of somebody who would enjoy the video as much as `enjoyment` (0…1)."""
    startup_ms = int(rng.lognormvariate(math.log(STARTUP_MS), STARTUP_SPREAD))
    if duration_ms > SKIP_MS and rng.random() < min(SKIP_MOST, max(SKIP_LEAST, SKIP_FROM - enjoyment)):
        annoyed = enjoyment < ANNOYED_BELOW
        return Reaction(
            watch_ms=rng.randint(200, SKIP_MS - 100),
            loops=0,
            startup_ms=startup_ms,
            not_interested=annoyed and rng.random() < NOT_INTERESTED,
            hide_creator=annoyed and rng.random() < HIDE_CREATOR,
        )
    finishes = rng.random() < FINISH * enjoyment * min(1.0, (EASY_MS / duration_ms) ** LENGTH_COST)
    loops = 0
    while finishes and loops < MOST_LOOPS and rng.random() < AGAIN * enjoyment:
        loops += 1
    part = 1.0 + loops if finishes else rng.betavariate(1 + 3 * enjoyment, 2)
    warm = enjoyment**2
    like = rng.random() < LIKE * warm
    return Reaction(
        watch_ms=min(86_400_000, max(SKIP_MS if duration_ms > SKIP_MS else 0, int(part * duration_ms))),
        loops=loops,
        startup_ms=startup_ms,
        like=like,
        unlike=like and rng.random() < UNLIKE,
        share=rng.random() < SHARE * warm,
        comment_length=rng.randint(3, 180) if rng.random() < COMMENT * enjoyment else 0,
        visit=rng.random() < VISIT * warm,
        follow=rng.random() < FOLLOW * warm,
    )


@dataclass(frozen=True)
class Reactions:
    """Many reactions, column by column: `Reaction`'s fields."""

    watch_ms: NDArray[np.int64]
    loops: NDArray[np.int64]
    startup_ms: NDArray[np.int64]
    like: NDArray[np.bool_]
    unlike: NDArray[np.bool_]
    share: NDArray[np.bool_]
    comment_length: NDArray[np.int64]
    visit: NDArray[np.bool_]
    follow: NDArray[np.bool_]
    not_interested: NDArray[np.bool_]
    hide_creator: NDArray[np.bool_]


def react_many(enjoyment: NDArray[np.float64], duration_ms: NDArray[np.int64], rng: np.random.Generator) -> Reactions:
    """`react` of many people and videos at once, by the same chances; arrays of one length."""
    count = len(enjoyment)

    def chance(of: NDArray[np.float64] | float) -> NDArray[np.bool_]:
        return rng.random(count) < of

    longer = duration_ms > SKIP_MS
    skips = longer & chance(np.clip(SKIP_FROM - enjoyment, SKIP_LEAST, SKIP_MOST))
    stays = ~skips
    annoyed = skips & (enjoyment < ANNOYED_BELOW)
    ease = np.minimum(1.0, (EASY_MS / duration_ms) ** LENGTH_COST)
    finishes = stays & chance(FINISH * enjoyment * ease)
    again = np.minimum(MOST_LOOPS, rng.geometric(1 - AGAIN * enjoyment) - 1)
    loops = np.where(finishes, again, 0)
    part = np.where(finishes, 1.0 + loops, rng.beta(1 + 3 * enjoyment, 2))
    watched = np.clip((part * duration_ms).astype(np.int64), np.where(longer, SKIP_MS, 0), 86_400_000)
    warm = np.where(stays, enjoyment**2, 0.0)
    like = chance(LIKE * warm)
    return Reactions(
        watch_ms=np.where(skips, rng.integers(200, SKIP_MS - 99, count), watched),
        loops=loops,
        startup_ms=rng.lognormal(math.log(STARTUP_MS), STARTUP_SPREAD, count).astype(np.int64),
        like=like,
        unlike=like & chance(UNLIKE),
        share=chance(SHARE * warm),
        comment_length=np.where(stays & chance(COMMENT * enjoyment), rng.integers(3, 181, count), 0),
        visit=chance(VISIT * warm),
        follow=chance(FOLLOW * warm),
        not_interested=annoyed & chance(NOT_INTERESTED),
        hide_creator=annoyed & chance(HIDE_CREATOR),
    )
