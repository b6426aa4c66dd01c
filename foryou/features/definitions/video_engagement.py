"""How a video does: plays, rates with a prior, and whether it is taking off."""

from foryou.features.definitions.signals import FINISHED, PLAYED, SKIPPED, VIEWED
from foryou.features.operations import DAY, HOUR, MINUTE, Count, Ratio, Toggle, Velocity, Watched, WindowSum
from foryou.features.spec import Feature, Measure, Resolution, View


def _rate(name: str, mean: float, doc: str) -> Feature:
    measure = {"finish": "finishes", "like": "likes", "skip": "skips", "share": "shares"}[name]
    return Feature(f"{name}_rate_24h", "float64", Ratio(measure, "views", DAY, HOUR, mean, weight=20.0), doc)


VIDEO_ENGAGEMENT = View(
    name="video_engagement",
    version=1,
    owner="ranking",
    doc="A video's minutes of the last two hours and hours of the last day. Salted: a viral video is many keys.",
    entity="video_id",
    where="video_id IS NOT NULL",
    tiles=(Resolution(MINUTE, keep=2 * HOUR), Resolution(HOUR, keep=DAY)),
    salts=4,
    measures=(
        Measure("impressions", Count("event_type = 'impression'"), "times shown"),
        Measure("plays", Count(PLAYED), "plays started"),
        Measure("views", Count(VIEWED), "plays that ended"),
        Measure("watch_ms", Watched(), "time watched, ms"),
        Measure("finishes", Count(FINISHED), "watched to the end"),
        Measure("skips", Count(SKIPPED), "swiped away before 2 s"),
        Measure("likes", Toggle("like"), "likes that still stand"),
        Measure("comments", Count("event_type = 'comment'"), "comments"),
        Measure("shares", Toggle("share"), "shares that still stand"),
    ),
    features=(
        Feature("plays_10m", "int64", WindowSum("plays", 10 * MINUTE, MINUTE), "plays of the last 10 minutes"),
        Feature("plays_1h", "int64", WindowSum("plays", HOUR, MINUTE), "plays of the last hour"),
        Feature("watch_ms_1h", "int64", WindowSum("watch_ms", HOUR, MINUTE), "time watched in the last hour, ms"),
        _rate("finish", 0.30, "share of views of the last 24 hours watched to the end, with 20 imagined views at 0.30"),
        _rate("like", 0.03, "likes per view of the last 24 hours, with 20 imagined views at 0.03"),
        _rate("skip", 0.30, "share of views of the last 24 hours left before 2 s, with 20 imagined views at 0.30"),
        _rate("share", 0.005, "shares per view of the last 24 hours, with 20 imagined views at 0.005"),
        Feature(
            "velocity",
            "float64",
            Velocity("plays", 10 * MINUTE, MINUTE, DAY, HOUR, smoothing=0.2),
            "plays per minute in the last 10 minutes over those in the last 24 hours; above 1 it is taking off",
        ),
    ),
)
