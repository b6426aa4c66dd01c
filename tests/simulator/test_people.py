import asyncio
from dataclasses import dataclass, field

import msgspec
import numpy as np

from foryou.collector.flags import Flags
from foryou.contract.events import ClientEvent
from foryou.contract.gate import Accepted, Gate
from foryou.contract.identity import Identity
from foryou.service.gate_settings import load
from foryou.simulator.mischief import NONE, Batch, Rates
from foryou.simulator.people import Clock, Diary, World
from foryou.simulator.phone import Item, Page
from foryou.simulator.population import choose
from foryou.simulator.reactions import draws, react
from foryou.simulator.run import Plan, live
from foryou.simulator.words import GENRES

NOON = 1_790_000_000_000
ONE_MINUTE = Plan(seconds=60, rate=1e9, rates=NONE)


@dataclass
class PaperPhone:
    """Keeps what is sent; feeds from the catalogue by a seed."""

    world: World
    batches: list[Batch] = field(default_factory=list)
    asked: int = 0

    async def send(self, batch: Batch) -> None:
        self.batches.append(batch)

    async def feed(self, user_id: str, limit: int) -> Page:
        self.asked += 1
        rows = np.random.default_rng(self.asked).integers(0, len(self.world.catalogue), limit).tolist()
        request = f"r{self.asked}"
        return Page(request, [self._item(request, place, row) for place, row in enumerate(rows)])

    def _item(self, request: str, position: int, row: int) -> Item:
        catalogue = self.world.catalogue
        return Item(
            video_id=catalogue.video_id[row],
            impression_id=f"{request}-{position}",
            position=position,
            creator_id="uk_aaaaaaaaaaaaaaaaaaaaaa",
            duration_ms=int(catalogue.duration_ms[row]),
            category=GENRES[catalogue.genre[row]],
        )

    def events(self) -> list[dict[str, object]]:
        return [event for batch in self.batches for event in batch.events]


def alone(world: World, plan: Plan, seed: int = 1) -> tuple[PaperPhone, Diary]:
    """One person lives, on a clock of their own: no other task to be ordered against."""
    now = [float(NOON)]

    async def sleep(seconds: float) -> None:
        now[0] += seconds * 1_000

    phone = PaperPhone(world)
    person = choose(world.population, 1, seed)
    diary = asyncio.run(live(world, person, seed, phone, plan, Clock(lambda: int(now[0]), sleep)))
    return phone, diary


def test_the_same_seed_replays_to_the_byte(world):
    (first, diary), (second, again) = alone(world, ONE_MINUTE), alone(world, ONE_MINUTE)
    assert first.batches == second.batches
    assert diary == again
    assert alone(world, ONE_MINUTE, seed=2)[0].batches != first.batches


def test_the_same_person_reacts_the_same_whatever_came_before():
    first = react(0.6, 20_000, draws(1, "reaction", 7, "g_5"))
    assert first == react(0.6, 20_000, draws(1, "reaction", 7, "g_5"))


def test_who_enjoys_more_skips_less_and_likes_more():
    def rates(joy: float) -> tuple[float, float, float]:
        found = [react(joy, 20_000, draws(1, joy, each)) for each in range(4_000)]
        return tuple(
            sum(flags) / len(found)
            for flags in (
                [each.skipped for each in found],
                [each.like for each in found],
                [each.watch_ms >= 20_000 for each in found],
            )
        )

    bored, fond = rates(0.15), rates(0.85)
    assert 0.6 < bored[0] < 0.8 and fond[0] < 0.1
    assert bored[1] < 0.02 and 0.2 < fond[1] < 0.45
    assert bored[2] < 0.1 and fond[2] > 0.5


def test_watched_times_are_possible():
    for each in range(3_000):
        reaction = react(each / 3_000, 5_000, draws(1, each))
        assert 0 < reaction.watch_ms <= 5_000 * (1 + reaction.loops)
        assert not (reaction.skipped and (reaction.like or reaction.loops))


def test_a_visit_has_a_running_number_without_gaps_and_comes_in_order(world):
    phone, _ = alone(world, ONE_MINUTE)
    by_session: dict[object, list[object]] = {}
    for event in phone.events():
        by_session.setdefault(event["session_id"], []).append(event["seq"])
    assert all(numbers == list(range(len(numbers))) for numbers in by_session.values())
    assert len(by_session) >= 2  # left, and came back


def test_every_kind_of_signal_is_sent(world):
    phone = PaperPhone(world)
    clock_at = [float(NOON)]

    async def sleep(seconds: float) -> None:
        clock_at[0] += seconds * 50  # people overlap: time passes for all of them

    people = choose(world.population, 60, 1)
    asyncio.run(live(world, people, 1, phone, Plan(300, rate=1e9, rates=NONE), Clock(lambda: int(clock_at[0]), sleep)))
    types = {event["event_type"] for event in phone.events()}
    assert {"app_open", "impression", "play_start", "view_end", "like", "share", "follow", "app_close"} <= types
    assert {"not_interested", "search", "search_click", "unlike", "profile_visit", "comment"} <= types


def test_the_gate_takes_everything_but_what_is_broken_on_purpose(world):
    phone, _ = alone(world, Plan(60, rate=1e9, rates=Rates(twice=0.1, hours_old=0.05, days_old=0.05, broken=0.5)))
    gate = Gate(Identity(b"0" * 32))
    for batch in phone.batches:
        verdicts = [gate.check(msgspec.json.encode(event), "demo", NOON + 60_000) for event in batch.events]
        assert sum(not isinstance(each, Accepted) for each in verdicts) == batch.broken
    assert sum(batch.broken for batch in phone.batches) > 0
    assert sum(batch.late for batch in phone.batches) > 0


def test_no_simulated_person_is_taken_for_a_robot(world):
    phone, _ = alone(world, Plan(60, rate=1e9, rates=Rates(twice=0.1, hours_old=0.05, days_old=0.05, broken=0.0)))
    gate, flags = Gate(Identity(b"0" * 32)), Flags(load().bots, 1_000)
    for event in phone.events():
        verdict = gate.check(msgspec.json.encode(event), "demo", NOON + 60_000)
        assert isinstance(verdict, Accepted) and flags.of(verdict, robot=False, paced=False) is None, event


def test_nothing_of_the_truth_is_ever_sent(world):
    phone, diary = alone(world, ONE_MINUTE)
    catalogue, population = world.catalogue, world.population
    sent = phone.events() + [catalogue.published(line.row) for line in diary.watched]
    sent += [population.account_created(line.person, NOON) for line in diary.watched[:1]]
    fields = set(ClientEvent.__struct_fields__)
    assert all(set(event) <= fields for event in sent)
    assert not [value for event in sent for value in leaves(event) if isinstance(value, float)], "truth is fractions"


def leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in leaves(each)]
    return [leaf for each in value for leaf in leaves(each)] if isinstance(value, list) else [value]
