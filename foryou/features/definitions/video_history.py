"""How a video did in weeks: day tiles, the stream's of today and yesterday, the batch layer's before that."""

from foryou.features.definitions.signals import FINISHED, PLAYED, SKIPPED, VIEWED
from foryou.features.operations import DAY, Count, Ratio, Toggle, Watched, WindowSum
from foryou.features.spec import Feature, Measure, Resolution, View

WEEK, MONTH = 7 * DAY, 30 * DAY

VIDEO_HISTORY = View(
    name="video_history",
    version=1,
    owner="ranking",
    doc="A video's days of the last month. Salted: a viral video is many keys.",
    entity="video_id",
    where="video_id IS NOT NULL",
    tiles=(Resolution(DAY, keep=MONTH),),
    gather_ms=5_000,  # a day's sums do not hurry, and every update of a tile costs Flink, Kafka and the store
    salts=4,
    measures=(
        Measure("plays", Count(PLAYED), "plays started"),
        Measure("views", Count(VIEWED), "plays that ended"),
        Measure("watch_ms", Watched(), "time watched, ms"),
        Measure("finishes", Count(FINISHED), "watched to the end"),
        Measure("skips", Count(SKIPPED), "swiped away before 2 s"),
        Measure("likes", Toggle("like"), "likes that still stand"),
        Measure("shares", Toggle("share"), "shares that still stand"),
    ),
    features=(
        Feature("plays_7d", "int64", WindowSum("plays", WEEK, DAY), "plays of 7 days"),
        Feature("plays_30d", "int64", WindowSum("plays", MONTH, DAY), "plays of 30 days"),
        Feature("watch_ms_7d", "int64", WindowSum("watch_ms", WEEK, DAY), "time watched in 7 days, ms"),
        Feature("likes_30d", "int64", WindowSum("likes", MONTH, DAY), "likes of 30 days that still stand"),
        Feature("shares_30d", "int64", WindowSum("shares", MONTH, DAY), "shares of 30 days that still stand"),
        Feature(
            "finish_rate_7d",
            "float64",
            Ratio("finishes", "views", WEEK, DAY, mean=0.30, weight=20.0),
            "share of views of 7 days watched to the end, with 20 imagined views at 0.30",
        ),
        Feature(
            "skip_rate_7d",
            "float64",
            Ratio("skips", "views", WEEK, DAY, mean=0.30, weight=20.0),
            "share of views of 7 days left before 2 s, with 20 imagined views at 0.30",
        ),
    ),
)
