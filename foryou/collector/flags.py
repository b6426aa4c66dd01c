"""Bot flags: a few stated rules about what no person does. Pure but for what they remember, which is bounded.

    agent    the User-Agent names a robot
    watch    more was watched than the video is long, replays included; or, per person, than time went by
    rate     more actions of one person than fingers have
    replay   one event id from two people: an id belongs to one event
    fan_out  more people on one device than a family

Times are event times, clamped by the receive time: a phone that was offline hands over two hours at once and is no
robot. What is flagged is kept apart (events.flagged.v1). Words by which people protect themselves (block, hide,
unfollow, report…) are never flagged: a wrong flag must not show anybody what they do not want to see.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from foryou.contract.events import Lane
from foryou.contract.gate import Accepted
from foryou.service.buckets import Buckets
from foryou.service.gate_settings import BotRules

FLAGGED = frozenset(
    (
        *("impression", "play_start", "play_progress", "view_end", "like", "comment", "share", "duet", "stitch"),
        *("follow", "profile_visit", "search", "search_click"),
    )
)
SLACK_MS = 2_000  # a player that counts a little too much is no robot


class Flags:
    """The rules and their memory, of one collector process."""

    def __init__(self, rules: BotRules, entries: int) -> None:
        self._rules, self._entries = rules, entries
        self._rate = Buckets(rules.actions_per_s, rules.actions_burst, entries)
        self._watched = Buckets(1_000 * rules.watch_per_second, int(rules.watch_burst_s * 1_000), entries)
        self._ids: OrderedDict[str, tuple[str, str | None]] = OrderedDict()  # event id → who sent it first, its flags
        self._people: OrderedDict[str, set[int]] = OrderedDict()  # device → hashes of who was on it
        self._devices = max(1, entries // 8)  # the dearest memory: a set each

    def robot(self, agent: str | None) -> bool:
        """Whether a User-Agent names a robot."""
        return agent is not None and any(word in agent.lower() for word in self._rules.agents)

    def of(self, verdict: Accepted, robot: bool, paced: bool = True) -> str | None:
        """The flags of an accepted event, sorted and joined by commas; None when there is none.

        `paced`: whether the pace of one person is judged. Not for the development key: the simulator's people watch a
        video in the blink of an eye.
        """
        record = verdict.record
        if verdict.lane is not Lane.ACTION or record["event_type"] not in FLAGGED:
            return None
        found = ["agent"] if robot else []
        app_id, user_key = record["app_id"], record["user_key"]
        event_id = f"{app_id}|{verdict.event_id}"
        before = self._ids.get(event_id)
        if before is not None and before[0] == user_key:
            return before[1]  # sent again: what it was, and nobody's pace
        if before is not None:
            found.append("replay")
        found += self._of_this_person(record, f"{app_id}|{user_key}", paced)
        flags = ",".join(sorted(found)) or None
        if before is None:
            self._ids[event_id] = (user_key, flags)
            if len(self._ids) > self._entries:
                self._ids.popitem(last=False)
        return flags

    def _of_this_person(self, record: Mapping[str, Any], who: str, paced: bool) -> list[str]:
        at_s = min(record["event_time"], record["received_at"]) / 1_000
        found = []
        if record["device_key"] is not None and self._fans_out(f"{record['app_id']}|{record['device_key']}", who):
            found.append("fan_out")
        if paced and self._rate.take(who, 1, at_s):
            found.append("rate")
        if record["event_type"] == "view_end" and self._impossible_watch(record, who, at_s, paced):
            found.append("watch")
        return found

    def _impossible_watch(self, record: Mapping[str, Any], who: str, at_s: float, paced: bool) -> bool:
        watched, duration = record["watch_ms"] or 0, record["duration_ms"]
        if duration and watched > duration * ((record["loops"] or 0) + 1) * 1.1 + SLACK_MS:
            return True
        return paced and watched > 0 and self._watched.take(who, watched, at_s) > 0

    def _fans_out(self, device: str, who: str) -> bool:
        people = self._people.get(device)
        if people is None:
            people = self._people[device] = set()
            if len(self._people) > self._devices:
                self._people.popitem(last=False)
        self._people.move_to_end(device)
        person = hash(who)
        if person in people:
            return False
        if len(people) >= self._rules.people_per_device:
            return True
        people.add(person)
        return False
