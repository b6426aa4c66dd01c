"""What an engagement is, for trends and embeddings: conditions over `silver/clean` in the words of the features."""

from foryou.features.definitions.signals import FINISHED, PLAYED, WATCHED

# Likes and shares are states: only the word that stands at the end counts, and it counts where it was said.
CONDITIONS = {
    "plays": PLAYED,
    "watches": WATCHED,
    "finishes": FINISHED,
    "likes": "event_type = 'like' AND relation_on = 1",
    "shares": "event_type = 'share' AND relation_on = 1",
    "comments": "event_type = 'comment'",
}
