"""Decoding the usual event cheaply: where no pattern of the contract can fail, none needs to be asked.

A pattern costs a call of a regular expression per string, some half of an event's check. All patterns forbid no more
than control characters and '|': text that holds no such byte, and no escape that could make one, fits them all.
"""

import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

E = TypeVar("E", bound=msgspec.Struct)


def is_plain(raw: bytes) -> bool:
    """Whether no string in this JSON can hold a control character or '|'. (JSON allows none below 0x20 as it is.)"""
    return raw.isascii() and b"\\" not in raw and b"|" not in raw and b"\x7f" not in raw


def decoder(struct: type[E]) -> Callable[[bytes], E]:
    """A decoder of `struct` that asks for patterns only where one could fail."""
    strict, lax = msgspec.json.Decoder(struct).decode, msgspec.json.Decoder(_struct(struct)).decode
    return lambda raw: lax(raw) if is_plain(raw) else strict(raw)


def _struct(struct: type[E]) -> type[E]:
    """The struct's subclass whose strings have their bounds but no patterns."""
    hints = get_type_hints(struct, include_extras=True)
    fields: list[Any] = []
    for field in msgspec.structs.fields(struct):
        kind = _without_patterns(hints[field.name])
        fields.append((field.name, kind) if field.required else (field.name, kind, field.default))
    plain: Any = msgspec.defstruct(
        f"Plain{struct.__name__}", fields, bases=(struct,), frozen=True, kw_only=True, gc=False
    )
    return plain  # type: ignore[no-any-return]


def _without_patterns(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(kind)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        bounds = [_bounds(each) for each in args[1:]]
        return Annotated[(_without_patterns(args[0]), *bounds)]
    if origin is types.UnionType:
        made: Any = None
        for each in args:
            made = _without_patterns(each) if made is None else made | _without_patterns(each)
        return made
    return origin[tuple(_without_patterns(each) for each in args)] if origin is not None else kind


def _bounds(meta: Any) -> Any:
    return msgspec.Meta(
        **{name: value for name in _BOUNDS if (value := getattr(meta, name)) is not None},
    )


_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length")
