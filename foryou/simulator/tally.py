"""The simulator's own books: what it sent, what it was told, and what it knows must come of it."""

from dataclasses import dataclass, field

from foryou.simulator.percentiles import Percentiles, percentiles


@dataclass
class Tally:
    """Counts of action and context events, one per event and sending. `unsure`: sent, and no answer came."""

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    unsure: int = 0
    requests: int = 0
    retries: int = 0
    duplicates_made: int = 0
    late_made: int = 0
    broken_made: int = 0
    ack_ms: list[float] = field(default_factory=list)
    feed_ms: list[float] = field(default_factory=list)
    feed_failures: int = 0
    fallbacks: dict[str, int] = field(default_factory=dict)
    first_failure: str | None = None

    def acks(self) -> Percentiles:
        """Of the posts that were answered."""
        return percentiles(self.ack_ms)

    def feeds(self) -> Percentiles:
        """Of the feeds that were answered."""
        return percentiles(self.feed_ms)

    def forget_latencies(self) -> None:
        """Starts the latencies anew; the books stay."""
        self.ack_ms.clear()
        self.feed_ms.clear()

    def failed(self, what: str) -> None:
        """Remembers the first thing that went wrong, in words."""
        self.first_failure = self.first_failure or what


@dataclass(frozen=True)
class Lanes:
    """How many records the platform's topics gained during a run; for accepted the action and context lanes, and what
    was flagged, which gets no verdict.
    """

    accepted: int
    rejected: int
    clean: int
    duplicate: int
    late: int
    flagged: int = 0

    @property
    def judged(self) -> int:
        """Those that have a verdict, or need none."""
        return self.clean + self.duplicate + self.late + self.flagged


@dataclass(frozen=True)
class Equation:
    """One line of the books: both sides, and whether they agree."""

    name: str
    left: int
    right: int

    @property
    def holds(self) -> bool:
        """Both sides are equal."""
        return self.left == self.right


def equations(tally: Tally, lanes: Lanes) -> list[Equation]:
    """What must hold of a run once it is settled: the laws, hop by hop, and the known mischief found again."""
    return [
        Equation("sent = accepted + rejected, as answered", tally.sent, tally.accepted + tally.rejected),
        Equation("answered accepted = in the lanes", tally.accepted, lanes.accepted),
        Equation("answered rejected = dead letters", tally.rejected, lanes.rejected),
        Equation("accepted = clean + duplicate + late", lanes.accepted - lanes.flagged, lanes.judged - lanes.flagged),
        Equation("broken on purpose = rejected", tally.broken_made, tally.rejected),
        Equation("sent twice = duplicate", tally.duplicates_made, lanes.duplicate),
        Equation("days old = late", tally.late_made, lanes.late),
    ]
