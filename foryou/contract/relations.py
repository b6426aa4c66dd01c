"""Relations: states that a person switches on and off. The newest word wins, in whatever order the words arrive.

A play's watch time is such a state, too: of an impression the largest that came counts, whichever event brought it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """One switch: its name, the event types that turn it on and off, and the event column that names its object."""

    name: str
    on: str
    off: str | None
    object: str


RELATIONS: tuple[Relation, ...] = (
    Relation("like", "like", "unlike", "video_id"),
    Relation("share", "share", "unshare", "video_id"),
    Relation("follow", "follow", "unfollow", "target_user_key"),
    Relation("block", "block", "unblock", "target_user_key"),
    Relation("hide_creator", "hide_creator", "unhide_creator", "target_user_key"),
    Relation("not_interested", "not_interested", None, "video_id"),
)

# No switch of a person's, so not among the relations: its register is the impression, its order (watch_ms, time, id).
WATCH = "watch"
WATCHING = ("play_progress", "view_end")

_BY_TYPE = {t: r for r in RELATIONS for t in (r.on, r.off) if t is not None}


def relation_of(event_type: str) -> Relation | None:
    """The relation an event type speaks about, or None."""
    return _BY_TYPE.get(event_type)
