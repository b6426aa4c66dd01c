"""What a person likes: signals per category, decayed at reading."""

from dataclasses import replace

from foryou.features.definitions.signals import FINISHED, SKIPPED, VIEWED
from foryou.features.operations import DAY, HOUR, MINUTE, Affinity, Count, Toggle
from foryou.features.spec import Feature, Measure, Resolution, View

KEPT = 14 * DAY  # after 14 days 4 % of a signal is left

# Weights multiply counts of signals, not predicted probabilities: a like is worth some finished videos, one "not
# interested" undoes a few.
AFFINITY = Affinity(
    part="facets",
    weights=(
        ("finishes", 1.0),
        ("likes", 3.0),
        ("comments", 2.0),
        ("shares", 4.0),
        ("skips", -1.0),
        ("not_interested", -6.0),
    ),
    exposure="views",
    prior=5.0,
    window=KEPT,
    tile=HOUR,
    half_life=3 * DAY,
    boost=4.0,
    boost_half_life=30 * MINUTE,
    limit=40,
)

USER_CATEGORY = View(
    name="user_category",
    version=1,
    owner="ranking",
    doc="A person's signals per category and hour.",
    entity="user_key",
    facet="category",
    where="category IS NOT NULL",
    tiles=(Resolution(HOUR, keep=KEPT),),
    measures=(
        Measure("views", Count(VIEWED), "videos seen to their end or left"),
        Measure("finishes", Count(FINISHED), "videos watched to the end"),
        Measure("skips", Count(SKIPPED), "videos swiped away before 2 s"),
        Measure("likes", Toggle("like"), "likes that still stand"),
        Measure("comments", Count("event_type = 'comment'"), "comments"),
        Measure("shares", Toggle("share"), "shares that still stand"),
        Measure("not_interested", Toggle("not_interested"), "videos the person does not want more of"),
    ),
    features=(
        Feature("affinity_categories", "list_string", AFFINITY, "categories, the most liked first, the disliked last"),
        Feature("affinity_scores", "list_float64", replace(AFFINITY, part="scores"), "their scores, in the same order"),
    ),
)
