"""Doors that people already have keys for: what each protocol's bodies mean, as pure functions, and one list."""

from foryou.collector.protocols.posthog import POSTHOG
from foryou.collector.protocols.segment import SEGMENT
from foryou.collector.protocols.shape import Protocol
from foryou.collector.protocols.snowplow import SNOWPLOW

PROTOCOLS: tuple[Protocol, ...] = (*SEGMENT, *POSTHOG, *SNOWPLOW)
