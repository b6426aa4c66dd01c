"""Why a tile may differ between the layers, in words for people."""

MEANING = {
    "late": "events that came after the lateness bound; only the batch layer counts them",
    "duplicate": "copies that the speed layer had forgotten and counted again",
    "lag": "events, or news of a video, that one layer had not read yet when the other counted",
    "dropped": "accepted events that the speed layer went past without a verdict",
    "expired": "older than what the speed layer keeps: the tile, or a like taken back too late",
    "imported": "history by `foryou import`, which the speed layer never sees",
    "code": "the same events, another number: the two layers do not mean the same",
    "unknown": "no evidence explains it",
}
CAUSES = tuple(MEANING)
WRONG = ("code", "unknown")  # what nobody has to live with
