"""What every analytics protocol says of people and screens, in our types."""

import re
from collections.abc import Mapping
from typing import Any

from foryou.collector.protocols import mapping
from foryou.collector.protocols.mapping import first, member

_TARGETS = ("target_user_id", "targetUserId", "profile_id", "profileId", "creator_id", "creatorId")


def profile_of(event: dict[str, Any], traits: Mapping[str, Any]) -> dict[str, Any]:
    """`profile_updated` of traits: region, language, birth year, jurisdiction. Other traits are not taken."""
    kept = ("event_id", "event_time", "sent_at", "user_id", "consent")
    language = first(traits.get("language"), traits.get("locale"), member(event, "context", "locale"))
    return {
        **{name: event.get(name) for name in kept},
        "event_type": "profile_updated",
        "region": mapping.word(
            first(traits.get("region"), traits.get("country"), member(traits, "address", "country"))
        ),
        "language": mapping.word(language.replace("_", "-").split("-")[0] if isinstance(language, str) else language),
        "birth_year": _birth_year(traits),
        "jurisdiction": mapping.word(traits.get("jurisdiction")),
    }


def screen_of(event: dict[str, Any], name: Any, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A page or screen that was opened: `profile_visit` where it is somebody's, else `app_open` with its name."""
    whose = first(*(properties.get(name) for name in _TARGETS))
    event["properties"] = {} if name is None else {mapping.OPEN_SCREEN: name}
    if whose is None:
        event["event_type"] = "app_open"
        mapping.spread(properties, event)
    else:
        event |= {"event_type": "profile_visit", "target_user_id": mapping.text(whose)}
        mapping.spread({k: v for k, v in properties.items() if k not in _TARGETS}, event)
    return event


def _birth_year(traits: Mapping[str, Any]) -> Any:
    said = first(traits.get("birth_year"), traits.get("birthYear"))
    born = first(traits.get("birthday"), traits.get("birth_date"))
    if said is None and isinstance(born, str) and (year := re.match(r"(19|20)[0-9]{2}(?=-|$)", born)):
        return int(year[0])
    return mapping.whole(said)
