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
class Counted:
    """What the collector itself counted: events of the action and context lanes, flagged ones and those of unknown
    type, by whoever sent them; `letters` of every lane, one for each refused event or for a post refused as a whole.
    """

    received: int
    accepted: int
    rejected: int
    limited: int
    letters: int

    def since(self, before: "Counted") -> "Counted":
        """What was counted since `before`."""
        return Counted(
            self.received - before.received,
            self.accepted - before.accepted,
            self.rejected - before.rejected,
            self.limited - before.limited,
            self.letters - before.letters,
        )


@dataclass(frozen=True)
class Others:
    """Events that others than the simulator sent meanwhile."""

    accepted: int = 0
    rejected: int = 0

    @classmethod
    def beside(cls, tally: Tally, counted: Counted) -> "Others":
        """What the collector counted beyond what the simulator was answered; never less than nothing."""
        more = (counted.accepted - tally.accepted, counted.rejected - tally.rejected)
        return cls(*(max(0, count) for count in more))

    @property
    def events(self) -> int:
        """All of them."""
        return self.accepted + self.rejected


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


def equations(tally: Tally, counted: Counted, lanes: Lanes) -> list[Equation]:
    """What must hold of a run once it is settled: the laws, hop by hop, and the known mischief found again.

    Where others sent events meanwhile, they are on the left of the equations that name them. Of theirs the verdict is
    not known before: as many as were accepted may be copies or late.
    """
    others = Others.beside(tally, counted)
    copies = min(max(0, lanes.duplicate - tally.duplicates_made), others.accepted)
    late = min(max(0, lanes.late - tally.late_made), others.accepted - copies)
    plus = " + of others" if others.events else ""
    return [
        Equation("sent = accepted + rejected, as answered", tally.sent, tally.accepted + tally.rejected),
        Equation(
            "received = accepted + rejected + limited, by the collector",
            counted.received,
            counted.accepted + counted.rejected + counted.limited,
        ),
        Equation(f"answered accepted{plus} = by the collector", tally.accepted + others.accepted, counted.accepted),
        Equation(f"answered rejected{plus} = by the collector", tally.rejected + others.rejected, counted.rejected),
        Equation("accepted by the collector = in the lanes", counted.accepted, lanes.accepted),
        Equation("dead letters of the collector = in Kafka", counted.letters, lanes.rejected),
        Equation("accepted = clean + duplicate + late", lanes.accepted - lanes.flagged, lanes.judged - lanes.flagged),
        Equation("broken on purpose = rejected", tally.broken_made, tally.rejected),
        Equation(f"sent twice{plus} = duplicate", tally.duplicates_made + copies, lanes.duplicate),
        Equation(f"days old{plus} = late", tally.late_made + late, lanes.late),
    ]
