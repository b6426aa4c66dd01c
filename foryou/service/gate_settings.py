"""The gate's settings: `gate.toml` beside this file has every default, `$FORYOU_HOME/gate.toml` overrides some."""

import hashlib
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from foryou.contract.consent import Law
from foryou.contract.never_stored import NeverStored
from foryou.contract.residence import HOME, Residency

DEFAULTS = Path(__file__).with_name("gate.toml")

_BOOTSTRAP = re.compile(r"[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*")
_SUFFIX = re.compile(r"[.][A-Za-z0-9._-]{1,32}")
_RESIDENCE = re.compile(r"[a-z0-9-]{1,32}")

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Connections(_Table, frozen=True):
    """Bounds of a process's door: connections and requests at once, KiB of the bodies of those requests, seconds that a
    connection may idle and that a body may take."""

    open: AtLeastOne
    idle_s: Positive
    body_s: Positive
    in_flight: AtLeastOne
    in_flight_kb: AtLeastOne


class Rate(_Table, frozen=True):
    """A token bucket: tokens a second by which it fills, tokens that it holds."""

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
    """How much of the world outside is remembered: addresses, and as many devices, people, event ids."""

    entries: AtLeastOne


class BotRules(_Table, frozen=True):
    """When an event is flagged, see foryou/collector/flags.py: words in a User-Agent; actions a second, and at once;
    seconds watched per second that went by, and at once; people."""

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


class Elsewhere(_Table, frozen=True):
    """Where a residence's records go: another cluster, other topics, or both. `registry`: the cluster's own."""

    kafka: str | None = None
    registry: str | None = None
    suffix: str = ""

    def __post_init__(self) -> None:
        if self.kafka is None and not self.suffix:
            raise ValueError('it says neither kafka nor suffix: say kafka = "host:port", suffix = ".eu", or both')
        if self.kafka is not None and not _BOOTSTRAP.fullmatch(self.kafka):
            raise ValueError(f'kafka = {self.kafka!r} is no address: say "host:port", or several joined by commas')
        if self.suffix and not _SUFFIX.fullmatch(self.suffix):
            raise ValueError(f'suffix = {self.suffix!r} cannot end a topic\'s name: say ".eu", or the like')
        if self.registry is not None and not self.registry.startswith(("http://", "https://")):
            raise ValueError(f'registry = {self.registry!r} is no URL: say "http://host:port/apis/ccompat/v7"')


class ResidencyTable(_Table, frozen=True):
    """Which apps and regions live elsewhere, and where that is. Nobody does, unless it is said."""

    apps: dict[str, str]
    regions: dict[str, str]
    to: dict[str, Elsewhere]

    def __post_init__(self) -> None:
        for name in self.to:
            if name == HOME or not _RESIDENCE.fullmatch(name):
                told = f"[residency.to.{name}] is no name: small letters, digits and '-', and not {HOME!r}"
                raise ValueError(told)
        for table, names in (("apps", self.apps), ("regions", self.regions)):
            for name, residence in names.items():
                if residence not in self.to:
                    told = f"{table}.{name} lives in {residence!r}, and there is no [residency.to.{residence}]"
                    raise ValueError(f'{told}: add it, with kafka = "host:port", suffix = ".{residence}", or both')

    def rules(self) -> Residency:
        """What the forwarder goes by."""
        return Residency(self.apps, {region.upper(): residence for region, residence in self.regions.items()})

    @property
    def fingerprint(self) -> str:
        """Another one when a record may live elsewhere than before; empty while all live at home."""
        if not self.to:
            return ""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


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
    residency: ResidencyTable


def load(path: Path | None = None) -> GateSettings:
    """The defaults with what the file at `path` says, if there is one. Raises ValueError naming what is wrong, and
    OSError when it cannot be read."""
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
