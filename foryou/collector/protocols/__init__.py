"""Doors that people already have keys for: what each protocol's bodies mean, as pure functions, and one list."""

from foryou.collector.protocols.segment import SEGMENT
from foryou.collector.protocols.shape import Protocol

PROTOCOLS: tuple[Protocol, ...] = SEGMENT
