"""What a person is doing now: the session, the last minutes, the last actions."""

from foryou.features.definitions.signals import BY_A_PERSON, ENGAGED, SKIPPED, WATCHED
from foryou.features.operations import (
    DAY,
    HOUR,
    MINUTE,
    Collect,
    Count,
    Latest,
    Recent,
    SecondsSince,
    SessionLength,
    SessionSum,
    Streak,
    Toggle,
    Watched,
    WindowSum,
)
from foryou.features.spec import Feature, Measure, Resolution, View

USER_ACTIVITY = View(
    name="user_activity",
    version=1,
    owner="ranking",
    doc="A person's minutes of the last day, with the last actions.",
    entity="user_key",
    where=BY_A_PERSON,
    tiles=(Resolution(MINUTE, keep=DAY),),
    measures=(
        Measure("watched", Count(WATCHED), "videos watched for more than a quick skip"),
        Measure("skips", Count(SKIPPED), "videos swiped away before 2 s"),
        Measure("watch_ms", Watched(), "time watched, ms, skips included"),
        Measure("likes", Toggle("like"), "videos liked and not un-liked since"),
        Measure("engaged", Latest(ENGAGED), "time of the newest engagement, UTC ms"),
        Measure(
            "actions",
            Collect(
                fields=("time", "event_type", "video_id", "category", "creator_key", "watch_ms", "duration_ms"),
                flags=(("watched", WATCHED), ("skipped", SKIPPED)),
                where="video_id IS NOT NULL AND event_type IN"
                " ('view_end', 'like', 'comment', 'share', 'duet', 'stitch', 'not_interested')",
            ),
            "the last actions on videos",
        ),
    ),
    features=(
        Feature(
            "videos_watched_session",
            "int64",
            SessionSum("watched"),
            "videos watched in the open session, without quick skips",
        ),
        Feature(
            "session_length_ms", "int64", SessionLength(), "from the first to the newest event of the open session, ms"
        ),
        Feature("session_skips", "int64", SessionSum("skips"), "quick skips in the open session"),
        Feature("session_likes", "int64", SessionSum("likes"), "likes given in the open session and not taken back"),
        Feature(
            "seconds_since_last_engagement",
            "float64",
            SecondsSince("engaged"),
            "seconds since the last like, comment, share, duet, stitch or follow; null if none within a day",
        ),
        Feature(
            "recent_videos", "list_string", Recent("actions", "video_id", 20), "videos last acted on, newest first"
        ),
        Feature(
            "recent_categories",
            "list_string",
            Recent("actions", "category", 10),
            "their categories, newest first, each once",
        ),
        Feature(
            "skip_streak", "int64", Streak("actions", hit="skipped", miss="watched"), "quick skips in a row, up to now"
        ),
        Feature("watch_ms_1h", "int64", WindowSum("watch_ms", HOUR, MINUTE), "time watched in the last hour, ms"),
        Feature(
            "videos_watched_24h", "int64", WindowSum("watched", DAY, MINUTE), "videos watched in the last 24 hours"
        ),
        Feature("likes_24h", "int64", WindowSum("likes", DAY, MINUTE), "likes of the last 24 hours that still stand"),
    ),
)
