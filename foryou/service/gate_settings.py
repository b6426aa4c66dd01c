"""The gate's settings: `gate.toml` beside this file has every default, `$FORYOU_HOME/gate.toml` overrides some."""

import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from foryou.contract.consent import Law
from foryou.contract.never_stored import NeverStored

DEFAULTS = Path(__file__).with_name("gate.toml")

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Connections(_Table, frozen=True):
    """Bounds of a process's door."""

    open: AtLeastOne
    idle_s: Positive
    body_s: Positive
    in_flight: AtLeastOne


class Rate(_Table, frozen=True):
    """A token bucket: how fast it fills, how much it holds."""

    per_s: Positive
    burst: AtLeastOne


class AddressRate(Rate, frozen=True):
    """A bucket per client address; networks in CIDR notation."""

    exempt: tuple[str, ...]
    trusted_proxies: tuple[str, ...]

    def __post_init__(self) -> None:
        for network in (*self.exempt, *self.trusted_proxies):
            ipaddress.ip_network(network)


class Memory(_Table, frozen=True):
    """How much of the world outside is remembered."""

    entries: AtLeastOne


class BotRules(_Table, frozen=True):
    """When an event is flagged, see foryou/collector/flags.py."""

    agents: tuple[str, ...]
    actions_per_s: Positive
    actions_burst: AtLeastOne
    watch_per_second: Positive
    watch_burst_s: Positive
    people_per_device: AtLeastOne


class NeverStoredNames(_Table, frozen=True):
    """Names of properties, and pieces of names."""

    names: tuple[str, ...]
    containing: tuple[str, ...]

    def rules(self) -> NeverStored:
        """What the gate goes by."""
        return NeverStored(self.names, self.containing)


class ConsentTable(_Table, frozen=True):
    """What no word on consent means, by jurisdiction; case does not count."""

    opt_in: tuple[str, ...]
    opt_out: tuple[str, ...]
    otherwise: str

    def __post_init__(self) -> None:
        if self.otherwise not in ("opt_in", "opt_out"):
            raise ValueError(f'otherwise = {self.otherwise!r} is neither: say "opt_in" or "opt_out"')
        law = self.law()
        if both := sorted(law.opt_in & law.opt_out):
            raise ValueError(f"{both[0]!r} is in opt_in and in opt_out: leave it in one of them")

    def law(self) -> Law:
        """What the feed, ClickHouse and the night go by."""
        opt_in, opt_out = (frozenset(word.lower() for word in words) for words in (self.opt_in, self.opt_out))
        return Law(opt_in, opt_out, self.otherwise == "opt_in")


class GateSettings(_Table, frozen=True):
    """All of it."""

    connections: Connections
    address: AddressRate
    key: Rate
    device: Rate
    memory: Memory
    bots: BotRules
    never_stored: NeverStoredNames
    consent: ConsentTable


def load(path: Path | None = None) -> GateSettings:
    """The defaults with what the file at `path` says, if there is one. Raises ValueError naming what is wrong."""
    defaults = tomllib.loads(DEFAULTS.read_text("utf-8"))
    try:
        said = tomllib.loads(path.read_text("utf-8")) if path is not None and path.exists() else {}
        return msgspec.convert(_merged(defaults, said), GateSettings)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error


def _merged(defaults: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **said}
    for name, value in defaults.items():
        if isinstance(value, dict) and isinstance(said.get(name), dict):
            merged[name] = {**value, **said[name]}
    return merged
