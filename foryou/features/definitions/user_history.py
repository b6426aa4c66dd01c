"""What a person did in weeks: day tiles, the stream's of today and yesterday, the batch layer's before that."""

from foryou.features.definitions.signals import BY_A_PERSON, FINISHED, SKIPPED, VIEWED, WATCHED
from foryou.features.operations import DAY, Count, Ratio, Toggle, Watched, WindowSum
from foryou.features.spec import Feature, Measure, Resolution, View

WEEK, MONTH = 7 * DAY, 30 * DAY

USER_HISTORY = View(
    name="user_history",
    version=1,
    owner="ranking",
    doc="A person's days of the last month.",
    entity="user_key",
    where=BY_A_PERSON,
    tiles=(Resolution(DAY, keep=MONTH),),
    gather_ms=5_000,  # a day's sums do not hurry, and every update of a tile costs Flink, Kafka and the store
    measures=(
        Measure("views", Count(VIEWED), "videos seen to their end or left"),
        Measure("watched", Count(WATCHED), "videos watched for more than a quick skip"),
        Measure("finishes", Count(FINISHED), "videos watched to the end"),
        Measure("skips", Count(SKIPPED), "videos swiped away before 2 s"),
        Measure("watch_ms", Watched(), "time watched, ms, skips included"),
        Measure("likes", Toggle("like"), "likes that still stand"),
        Measure("shares", Toggle("share"), "shares that still stand"),
        Measure("comments", Count("event_type = 'comment'"), "comments"),
    ),
    features=(
        Feature("watch_ms_7d", "int64", WindowSum("watch_ms", WEEK, DAY), "time watched in 7 days, ms"),
        Feature("watch_ms_30d", "int64", WindowSum("watch_ms", MONTH, DAY), "time watched in 30 days, ms"),
        Feature("videos_watched_7d", "int64", WindowSum("watched", WEEK, DAY), "videos watched in 7 days"),
        Feature("videos_watched_30d", "int64", WindowSum("watched", MONTH, DAY), "videos watched in 30 days"),
        Feature("likes_7d", "int64", WindowSum("likes", WEEK, DAY), "likes of 7 days that still stand"),
        Feature("likes_30d", "int64", WindowSum("likes", MONTH, DAY), "likes of 30 days that still stand"),
        Feature("shares_30d", "int64", WindowSum("shares", MONTH, DAY), "shares of 30 days that still stand"),
        Feature("comments_30d", "int64", WindowSum("comments", MONTH, DAY), "comments of 30 days"),
        Feature(
            "finish_rate_30d",
            "float64",
            Ratio("finishes", "views", MONTH, DAY, mean=0.30, weight=20.0),
            "share of views of 30 days watched to the end, with 20 imagined views at 0.30",
        ),
        Feature(
            "skip_rate_30d",
            "float64",
            Ratio("skips", "views", MONTH, DAY, mean=0.30, weight=20.0),
            "share of views of 30 days left before 2 s, with 20 imagined views at 0.30",
        ),
    ),
)
