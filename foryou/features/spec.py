"""What a feature view is. A definition is data; what is wrong with it is said when it is made, not when it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from foryou.contract.relations import RELATIONS
from foryou.contract.schemas import schema
from foryou.features import predicate
from foryou.features.operations import (
    DAY,
    HOUR,
    MINUTE,
    Affinity,
    Collect,
    Count,
    Latest,
    Operation,
    Ratio,
    Reading,
    Recent,
    SecondsSince,
    SessionLength,
    SessionSum,
    Streak,
    Toggle,
    Total,
    Velocity,
    Watched,
    WindowSum,
)

__all__ = ["DAY", "HOUR", "MINUTE", "BadDefinition", "Feature", "Measure", "Resolution", "TileKey", "TileState", "View"]

Dtype = Literal["int64", "float64", "string", "list_string", "list_float64"]
Value = int | float | str | list[str] | list[float] | None

Measures = TypeVar("Measures", bound=tuple[Any, ...])

TileKey = tuple[str | None, int, int, int]  # facet, tile_ms, tile_start, salt


class TileState(NamedTuple, Generic[Measures]):
    """One tile of one entity. (epoch, n) is its version; first and last are of the rows that count for time (sign
    +1).
    """

    epoch: int
    n: int
    first_ms: int | None
    last_ms: int | None
    measures: Measures  # in the order of the definition


class BadDefinition(ValueError):
    """A definition that could not mean what it says."""


@dataclass(frozen=True)
class Measure:
    """One number (or list) of a tile."""

    name: str
    op: Operation
    doc: str


@dataclass(frozen=True)
class Feature:
    """One value that a model reads, computed from tiles at the moment of reading."""

    name: str
    dtype: Dtype
    read: Reading
    doc: str


@dataclass(frozen=True)
class Resolution:
    """Tiles of `ms`, read for `keep` ms after their end and dropped then."""

    ms: int
    keep: int


@dataclass(frozen=True, eq=False)  # compared and hashed as an object: what is compiled from a view is cached by it
class View:
    """Tiles of one entity (and facet) over the clean events, and the features read from them."""

    name: str
    version: int
    entity: Literal["user_key", "video_id"]
    tiles: tuple[Resolution, ...]
    measures: tuple[Measure, ...]
    features: tuple[Feature, ...]
    owner: str
    doc: str
    facet: str | None = None
    where: str = "TRUE"
    salts: int = 1
    gather_ms: int = 50  # the stream gathers changes of a tile for so long before it writes the tile

    def __post_init__(self) -> None:
        _check(self)

    @property
    def full_name(self) -> str:
        return f"{self.name}_v{self.version}"

    @property
    def topic(self) -> str:
        return f"features.{self.name}.v{self.version}"

    @property
    def keep(self) -> int:
        """The longest that any tile is kept, ms."""
        return max(resolution.keep for resolution in self.tiles)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """What a tile is keyed by, in the order of the record key."""
        facet = (self.facet,) if self.facet else ()
        return ("app_id", self.entity, *facet, "salt", "tile_ms", "tile_start")

    def keep_of(self, tile_ms: int) -> int:
        """How long tiles of a size are kept. Raises KeyError."""
        return {resolution.ms: resolution.keep for resolution in self.tiles}[tile_ms]

    def index(self, measure: str) -> int:
        """The measure's place in TileState.measures. Raises ValueError."""
        return [m.name for m in self.measures].index(measure)

    def op(self, measure: str) -> Operation:
        """The measure's operation. Raises ValueError."""
        return self.measures[self.index(measure)].op


@cache
def clean_columns() -> dict[str, predicate.Kind]:
    """Columns of events.clean that expressions may use, with their kinds."""
    kinds: dict[str, predicate.Kind] = {"string": "string", "int": "integer", "long": "integer"}
    found: dict[str, predicate.Kind] = {}
    for field in schema("clean")["fields"]:
        types = field["type"] if isinstance(field["type"], list) else [field["type"]]
        kind = next((kinds[t] for t in types if isinstance(t, str) and t in kinds), None)
        if kind is not None:
            found[field["name"]] = kind
    return found


_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TILE_COLUMNS = {"app_id", "user_key", "video_id", "salt", "tile_ms", "tile_start", "epoch", "n", "first_ms", "last_ms"}
_DTYPES: dict[type, set[str]] = {
    WindowSum: {"int64"},
    Ratio: {"float64"},
    Velocity: {"float64"},
    SessionSum: {"int64"},
    SessionLength: {"int64"},
    SecondsSince: {"float64"},
    Recent: {"list_string"},
    Streak: {"int64"},
    Affinity: {"list_string", "list_float64"},
}


def _check(view: View) -> None:
    def require(holds: bool, why: str) -> None:
        if not holds:
            raise BadDefinition(f"view {view.name!r}: {why}")

    names = [m.name for m in view.measures]
    for name in (view.name, *names, *(f.name for f in view.features)):
        require(_NAME.fullmatch(name) is not None, f"{name!r} is not a name like likes_24h")
    for listed in (names, [f.name for f in view.features], [r.ms for r in view.tiles]):
        require(len(set(listed)) == len(listed), f"something is listed twice in {listed}")
    reserved = _TILE_COLUMNS | ({view.facet} if view.facet else set())
    require(not reserved & set(names), f"{reserved & set(names)} are columns of every tile")
    require(bool(view.tiles) and bool(view.measures) and bool(view.features), "needs tiles, measures and features")
    require(all(r.ms > 0 and r.keep >= r.ms for r in view.tiles), "a tile is kept for at least its own length")
    require(
        all(MINUTE * 60 * 24 % r.ms == 0 for r in view.tiles),
        "tile sizes divide a day, or batch and speed could not meet",
    )
    require(view.version >= 1 and view.salts >= 1, "versions and salts count from 1")
    require(0 < view.gather_ms <= 10_000, "changes are gathered for 1 to 10,000 ms")
    require(bool(view.owner and view.doc), "needs an owner and a doc")
    _check_expression(view, view.where, "boolean")
    for column in (view.entity, view.facet):
        if column is not None:
            require(clean_columns().get(column) == "string", f"{column} is not a string column of events.clean")
    for measure in view.measures:
        require(bool(measure.doc), f"measure {measure.name} needs a doc")
        _check_measure(view, measure)
    for feature in view.features:
        require(bool(feature.doc), f"feature {feature.name} needs a doc")
        require(feature.dtype in _DTYPES[type(feature.read)], f"feature {feature.name} cannot be {feature.dtype}")
        problem = _problem_of(view, feature.read)
        require(problem is None, f"feature {feature.name}: {problem}")


def _check_expression(view: View, sql: str, wanted: predicate.Kind) -> None:
    try:
        kind = predicate.kind_of(sql, clean_columns())
    except predicate.BadExpression as error:
        raise BadDefinition(f"view {view.name!r}: {error}") from error
    if kind != wanted:
        raise BadDefinition(f"view {view.name!r}: {sql!r} is {kind}, not {wanted}")


def _check_measure(view: View, measure: Measure) -> None:
    match measure.op:
        case Count(where) | Latest(where):
            _check_expression(view, where, "boolean")
        case Total(column, where):
            _check_expression(view, column, "integer")
            _check_expression(view, where, "boolean")
        case Toggle(relation):
            if relation not in {known.name for known in RELATIONS}:
                raise BadDefinition(f"view {view.name!r}: no relation {relation!r} in the contract")
        case Collect() as op:
            for condition in (op.where, *(condition for _, condition in op.flags)):
                _check_expression(view, condition, "boolean")
            unknown = [field for field in op.fields if field not in clean_columns()]
            if unknown or op.fields[:1] != ("time",) or len(set(op.names)) != len(op.names):
                raise BadDefinition(f"{measure.name}: fields are distinct columns, `time` first; unknown: {unknown}")
            # The running number that bounds a list counts within a person's minute.
            if view.entity != "user_key" or view.facet or [r.ms for r in view.tiles] != [MINUTE]:
                raise BadDefinition(f"{measure.name}: only a view of people with minute tiles can collect")


def _problem_of(view: View, read: Reading) -> str | None:
    ops = {m.name: type(m.op) for m in view.measures}
    summed = (Count, Total, Toggle, Watched)
    never_negative = (Count,)  # what is divided by; a Toggle or Watched may dip below 0, a Total may sum anything

    def windows(*pairs: tuple[int, int]) -> str | None:
        kept = {r.ms: r.keep for r in view.tiles}
        for window, tile in pairs:
            if window > kept.get(tile, -1):
                return f"a window of {window} ms needs tiles of {tile} ms that are kept for as long"
        return None

    def measured(*names: str, by: tuple[type, ...] = summed) -> str | None:
        wrong = [name for name in names if ops.get(name) not in by]
        return f"{wrong} must be measures by {[op.__name__ for op in by]}" if wrong else None

    match read:
        case WindowSum():
            return measured(read.measure) or windows((read.window, read.tile))
        case Ratio():
            no_weight = None if read.weight > 0 else "a weight above 0 keeps the ratio defined"
            counted = measured(read.numerator) or measured(read.denominator, by=never_negative)
            return counted or windows((read.window, read.tile)) or no_weight
        case Velocity():
            no_smoothing = None if read.smoothing > 0 else "smoothing above 0 keeps the ratio defined"
            return (
                measured(read.measure, by=never_negative)
                or windows((read.short, read.short_tile), (read.long, read.long_tile))
                or no_smoothing
            )
        case SessionSum() | SessionLength():
            if view.facet or [r.ms for r in view.tiles] != [MINUTE] or read.gap < MINUTE:
                return "a session is a fold over minute tiles without facet"
            return measured(read.measure) if isinstance(read, SessionSum) else None
        case SecondsSince():
            return measured(read.measure, by=(Latest,))
        case Recent() | Streak():
            if problem := measured(read.measure, by=(Collect,)):
                return problem
            op = view.op(read.measure)
            assert isinstance(op, Collect)
            if isinstance(read, Recent):
                known = clean_columns().get(read.field) == "string" and read.field in op.fields
                return None if known else f"{read.field} is not a collected string"
            return None if {read.hit, read.miss} <= {name for name, _ in op.flags} else "hit and miss are flags"
        case Affinity():
            if view.facet is None:
                return "an affinity ranks the facets of a view"
            no_prior = None if read.prior > 0 else "a prior above 0 keeps the mean defined"
            weighted = measured(*(name for name, _ in read.weights))
            return (
                weighted or measured(read.exposure, by=never_negative) or windows((read.window, read.tile)) or no_prior
            )
