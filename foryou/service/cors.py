"""Which web pages may talk to a door: their preflights answered, their origins named in the answers.

Nothing here reads or sets a cookie. Even so a listed origin is told that credentials are fine: browsers send beacons in
that mode and would throw them away otherwise. Any origin (`*`) is never told so, as the standard demands; its beacons
are plain text, which needs no preflight.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

LOOPBACK = ("http://localhost:*", "http://127.0.0.1:*", "https://localhost:*", "https://127.0.0.1:*")
HEADERS = (
    "authorization, content-type, content-encoding, x-request-id, sp-anonymous, "
    "ce-id, ce-source, ce-specversion, ce-type, ce-time, ce-subject, ce-datacontenttype, ce-dataschema, "
    "ce-userid, ce-deviceid, ce-sessionid, ce-seq, ce-sentat"
)
MAX_AGE_S = 7_200
Header = tuple[str, str]


@dataclass(frozen=True)
class Cors:
    """Origins that may: exact ones, ones with any port (`http://localhost:*`), or any (`*`). None: nobody may."""

    origins: tuple[str, ...] = LOOPBACK
    _allowed: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError when something is no origin."""
        for origin in self.origins:
            if origin != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:([0-9]+|\*))?", origin):
                raise ValueError(f"{origin!r} is no origin: write https://app.example.org, http://localhost:*, or *")
        patterns = (re.escape(origin).replace(r":\*", r"(:[0-9]{1,5})?") for origin in self.origins if origin != "*")
        object.__setattr__(self, "_allowed", re.compile("|".join(patterns) or r"(?!)"))

    @classmethod
    def of(cls, said: str) -> "Cors":
        """Of a setting: origins with commas between them; empty: nobody. Raises ValueError."""
        return cls(tuple(origin for part in said.split(",") if (origin := part.strip())))

    def headers(self, origin: str | None) -> tuple[Header, ...]:
        """What an answer to this origin says."""
        if origin is None:
            return ()
        if self._allowed.fullmatch(origin):
            named = (("access-control-allow-origin", origin), ("access-control-allow-credentials", "true"))
            return (*named, ("access-control-expose-headers", "x-request-id, retry-after"), ("vary", "Origin"))
        if "*" in self.origins:
            return (("access-control-allow-origin", "*"), ("vary", "Origin"))
        return (("vary", "Origin"),)

    def preflight(self, origin: str | None, methods: Iterable[str]) -> tuple[Header, ...]:
        """What is added to the answer to a preflight; without it the browser does not send the request."""
        if not any(name == "access-control-allow-origin" for name, _ in self.headers(origin)):
            return ()
        return (
            ("access-control-allow-methods", ", ".join(sorted(methods))),
            ("access-control-allow-headers", HEADERS),
            ("access-control-max-age", str(MAX_AGE_S)),
        )


NOBODY = Cors(())
