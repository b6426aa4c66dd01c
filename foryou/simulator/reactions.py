"""How a person reacts to one video: a pure draw from expected enjoyment. Same person, same video, same reaction."""

import hashlib
import math
import random
from dataclasses import dataclass

SKIP_MS = 2_000  # DESIGN's quick skip: a view_end under this of a longer video


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
    startup_ms = int(rng.lognormvariate(math.log(90), 0.5))
    if duration_ms > SKIP_MS and rng.random() < min(0.9, max(0.03, 0.85 - enjoyment)):
        annoyed = enjoyment < 0.25
        return Reaction(
            watch_ms=rng.randint(200, SKIP_MS - 100),
            loops=0,
            startup_ms=startup_ms,
            not_interested=annoyed and rng.random() < 0.06,
            hide_creator=annoyed and rng.random() < 0.005,
        )
    # The longer the video, the fewer see its end.
    finishes = rng.random() < 0.9 * enjoyment * min(1.0, (45_000 / duration_ms) ** 0.35)
    loops = 0
    while finishes and loops < 5 and rng.random() < 0.3 * enjoyment:
        loops += 1
    part = 1.0 + loops if finishes else rng.betavariate(1 + 3 * enjoyment, 2)
    warm = enjoyment**2
    like = rng.random() < 0.45 * warm
    return Reaction(
        watch_ms=min(86_400_000, max(SKIP_MS if duration_ms > SKIP_MS else 0, int(part * duration_ms))),
        loops=loops,
        startup_ms=startup_ms,
        like=like,
        unlike=like and rng.random() < 0.05,
        share=rng.random() < 0.07 * warm,
        comment_length=rng.randint(3, 180) if rng.random() < 0.05 * enjoyment else 0,
        visit=rng.random() < 0.05 * warm,
        follow=rng.random() < 0.04 * warm,
    )
