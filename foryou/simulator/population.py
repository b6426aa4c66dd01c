"""The people: KuaiRand's 27,285 users with the latent interests, homes and follow graph that the table has not."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foryou.contract.ids import uuid7
from foryou.simulator.catalogue import Catalogue, Event, lasting_id
from foryou.simulator.kuairand import real_people
from foryou.simulator.words import GENRES, HOMES, JURISDICTION

INTEREST = 2.5  # total Dirichlet concentration: two or three genres make up most of a person
MOST_FOLLOWED = 40  # real follow counts go to thousands; compressed, so that a simulated day is not all follows
PURPOSES = ("personalisation", "analytics", "advertising")


@dataclass(frozen=True)
class Population:
    """Everybody, one row each; row = KuaiRand's user_id. Interests and taste are latent and never sent."""

    seed: int
    activity: NDArray[np.float64]
    follows: NDArray[np.int64]  # how many creators, compressed
    home: NDArray[np.int16]  # row in HOMES
    birth_year: NDArray[np.int16]
    consent: NDArray[np.bool_]  # (people, purposes)
    interests: NDArray[np.float64]  # (people, genres), rows sum to 1
    log_length: NDArray[np.float64]  # ln of the video length in ms that a person likes best
    fans: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.activity)

    def user_id(self, row: int) -> str:
        """The client's id of a person."""
        return f"p{row}"

    def account_created(self, row: int, now_ms: int) -> Event:
        """The `account_created` event of a person, ready for the wire."""
        region, language, _ = HOMES[self.home[row]]
        return {
            "event_id": lasting_id(self.seed, "account_created", self.user_id(row)),
            "event_type": "account_created",
            "event_time": now_ms,
            "user_id": self.user_id(row),
            "region": region,
            "language": language,
            "birth_year": int(self.birth_year[row]),
            "jurisdiction": JURISDICTION.get(region, "none"),
            "consent": dict(zip(PURPOSES, self.consent[row].tolist(), strict=True)),
        }


def settle(seed: int) -> Population:
    """Everybody, with homes, interests and tastes drawn from the seed."""
    people = real_people()
    rng = np.random.default_rng([seed, 2])
    count = len(people)
    popular = rng.permutation(np.linspace(0.5, 1.5, len(GENRES)))
    interests = rng.dirichlet(INTEREST * popular / popular.sum(), count)
    return Population(
        seed=seed,
        activity=people.activity,
        follows=np.minimum(MOST_FOLLOWED, np.ceil(1.5 * np.sqrt(np.maximum(0, people.follows)))).astype(np.int64),
        home=rng.choice(len(HOMES), count, p=[share for _, _, share in HOMES]).astype(np.int16),
        birth_year=(2026 - 16 - np.minimum(60, rng.gamma(2.0, 7.0, count))).astype(np.int16),
        consent=rng.random((count, len(PURPOSES))) < np.array([0.95, 0.9, 0.5]),
        interests=interests,
        log_length=rng.normal(np.log(45_000), 0.6, count),
        fans=np.maximum(0, people.fans),
    )


def choose(population: Population, count: int, seed: int) -> NDArray[np.int64]:
    """`count` different people, active ones more often. Raises ValueError if there are not so many."""
    if not 0 < count <= len(population):
        raise ValueError(f"between 1 and {len(population)} people can be simulated, not {count}")
    rng = np.random.default_rng([seed, 3])
    chance = population.activity / population.activity.sum()
    return rng.choice(len(population), count, replace=False, p=chance)


def follow_edges(population: Population, catalogue: Catalogue, person: int) -> NDArray[np.int64]:
    """Rows of the creators whom a person follows: as many as really (compressed), drawn by fame and taste."""
    rng = np.random.default_rng([population.seed, 4, person])
    wanted = int(population.follows[person])
    draw = rng.choice(len(catalogue.creator_id), 6 * wanted, p=_pull(population, catalogue))
    liked = population.interests[person][catalogue.creator_genre[draw]]
    order = np.argsort(-(liked + 0.05 * rng.random(len(draw))), kind="stable")
    seen = dict.fromkeys(draw[order].tolist())
    seen.pop(_own_row(population, catalogue, person), None)
    return np.array(list(seen)[:wanted], dtype=np.int64)


def follows(population: Population, catalogue: Catalogue, person: int, now_ms: int) -> Iterator[Event]:
    """A person's `follow` events, ready for the wire. Said twice, they are new events that change nothing."""
    me = population.user_id(person)
    for creator in follow_edges(population, catalogue, person):
        target = catalogue.creator_id[creator]
        yield {
            "event_id": uuid7(now_ms),
            "event_type": "follow",
            "event_time": now_ms,
            "user_id": me,
            "target_user_id": target,
        }


_PULLS: dict[tuple[int, int, int], NDArray[np.float64]] = {}


def _pull(population: Population, catalogue: Catalogue) -> NDArray[np.float64]:
    """Chance of each creator to be followed: fame, and for the people among them their real number of fans too."""
    key = (population.seed, catalogue.seed, len(catalogue))
    if key not in _PULLS:
        fans = np.ones(len(catalogue.creator_id))
        for row, name in enumerate(catalogue.creator_id):
            if name.startswith("p"):
                fans[row] += population.fans[int(name[1:])] / 50
        pull = np.sqrt(catalogue.creator_fame * fans)
        _PULLS[key] = pull / pull.sum()
    return _PULLS[key]


def _own_row(population: Population, catalogue: Catalogue, person: int) -> int:
    try:
        return catalogue.creator_id.index(population.user_id(person))
    except ValueError:
        return -1
