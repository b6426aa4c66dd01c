"""How many events may come: per write key by the second and by the day, per device by the second."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from foryou.collector.flags import Flags
from foryou.contract.gate import Accepted, Refused
from foryou.service.buckets import Buckets, Quotas
from foryou.service.gate_settings import GateSettings, load
from foryou.service.keys import Caller, Scope
from foryou.service.problem import Problem, limited

RATE_LIMITED = "rate_limited"


@dataclass(frozen=True, slots=True)
class Limited(Refused):
    """An event that is sound and one too many; it is no dead letter, its sender keeps it."""

    retry_after_s: int = 1


class Admission:
    """The buckets of one collector process."""

    def __init__(self, settings: GateSettings | None = None, clock_s: Callable[[], float] = time.monotonic) -> None:
        said = settings or load()
        self._keys = Buckets(said.key.per_s, said.key.burst, said.memory.entries)
        self._devices = Buckets(said.device.per_s, said.device.burst, said.memory.entries)
        self._quotas = Quotas()
        self._flags = Flags(said.bots, said.memory.entries)
        self._clock_s = clock_s

    def charge(self, caller: Caller, events: int, now_ms: int) -> None:
        """Takes the tokens of a post, before its events are looked at. Raises a 429 Problem, and has taken nothing."""
        quota = caller.quota_per_day
        if quota is not None and (wait_s := self._quotas.take(caller.key_id, events, quota, now_ms)):
            raise _no_more_today(quota, self._quotas.left(caller.key_id, quota, now_ms), events, wait_s)
        if wait_s := self._keys.take(caller.key_id, events, self._clock_s()):
            if quota is not None:
                self._quotas.give_back(caller.key_id, events)
            raise limited("this key sends too many events a second", wait_s)

    def by_device(self, verdicts: list[Accepted | Refused]) -> list[Accepted | Refused]:
        """The verdicts, with Limited in the place of what one device sent too much. The catalogue has no devices."""
        now_s, take = self._clock_s(), self._devices.take
        for place, verdict in enumerate(verdicts):
            if isinstance(verdict, Accepted):
                record = verdict.record
                name = record.get("device_key") or (record.get("user_key") if "session_id" in record else None)
                if name is not None and (wait_s := take(f"{record['app_id']}|{name}", 1, now_s)):
                    verdicts[place] = _one_too_many(verdict, wait_s)
        return verdicts

    def flagged(
        self, verdicts: list[Accepted | Refused], caller: Caller, agent: str | None, first_time: bool = True
    ) -> list[Accepted | Refused]:
        """The verdicts, with flags on what no person does. A key that may do everything is a developer's: no person's
        pace is judged by it, nor by dead letters that are replayed.
        """
        of, robot, paced = self._flags.of, self._flags.robot(agent), first_time and not caller.may(Scope.ADMIN)
        for place, verdict in enumerate(verdicts):
            if isinstance(verdict, Accepted) and (flags := of(verdict, robot, paced)):
                verdicts[place] = _flagged(verdict, flags)
        return verdicts


def _no_more_today(quota: int, left: int, events: int, wait_s: float) -> Problem:
    told = f"this key's quota of {quota:,} events a day is used up"
    if left:
        told = f"this key may send {left:,} more of its {quota:,} events a day, and this post has {events:,}"
    refused = limited(told, wait_s)
    if left:
        refused.remedy = (
            f"send at most {left:,} in a post now, the others after {math.ceil(wait_s)} s, with the same ids"
        )
    return refused


def _flagged(verdict: Accepted, flags: str) -> Accepted:
    return Accepted(verdict.event_id, verdict.lane, verdict.key, verdict.record, flags=flags, removed=verdict.removed)


def _one_too_many(verdict: Accepted, wait_s: float) -> Limited:
    seconds = math.ceil(wait_s)
    remedy = f"send it again after {seconds} s, with the same event id"
    told = "this device sends too many events a second"
    return Limited(RATE_LIMITED, None, told, remedy, verdict.event_id, verdict.lane, seconds)
