"""Token buckets and daily quotas in bounded memory. Pure: the clock is an argument."""

from collections import OrderedDict

DAY_MS = 86_400_000


class Buckets:
    """A token bucket per name, kept as one number: when it will be full again (the generic cell rate algorithm).

    A bucket that is full is not kept apart from one that nobody knows, so forgetting the one that was idle longest
    forgives at most one burst. Whoever can invent names can be forgiven by inventing `entries` of them in between: what
    may be invented (devices) stands behind what may not (the key's bucket, the address's).
    """

    def __init__(self, per_s: float, burst: int, entries: int) -> None:
        self._interval_s = 1.0 / per_s
        self._room_s = burst * self._interval_s
        self._burst, self._entries = burst, entries
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, name: str, cost: int, now_s: float) -> float:
        """Takes `cost` tokens and returns 0, or takes nothing and returns the seconds until they are there.

        What costs more than a bucket holds passes when the bucket is full, and leaves a debt: else it never would.
        """
        full_at = self._full_at.get(name, 0.0)
        if full_at < now_s:
            full_at = now_s
        wait_s = full_at - now_s - self._room_s + min(cost, self._burst) * self._interval_s
        if wait_s > 1e-9:
            return wait_s
        self._full_at[name] = full_at + cost * self._interval_s
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._entries:
            self._full_at.popitem(last=False)
        return 0.0


class Quotas:
    """Events of a UTC day by name, counted up to a quota. In the memory of one process: a restart begins anew."""

    def __init__(self) -> None:
        self._day = -1
        self._used: dict[str, int] = {}

    def take(self, name: str, cost: int, quota: int, now_ms: int) -> float:
        """Counts `cost` and returns 0, or counts nothing and returns the seconds until the day is over."""
        day = now_ms // DAY_MS
        if day != self._day:
            self._day, self._used = day, {}
        used = self._used.get(name, 0)
        if used + cost > quota:
            return ((day + 1) * DAY_MS - now_ms) / 1_000
        self._used[name] = used + cost
        return 0.0

    def left(self, name: str, quota: int, now_ms: int) -> int:
        """What `take` would still count today."""
        return max(0, quota - self._used.get(name, 0)) if now_ms // DAY_MS == self._day else quota

    def give_back(self, name: str, cost: int) -> None:
        """What was taken today and not used after all."""
        self._used[name] = max(0, self._used.get(name, 0) - cost)
