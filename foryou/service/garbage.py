"""Python's collector of garbage, in a process that people wait for: while it looks at objects, nobody is answered."""

import gc

EACH = 5_000  # new objects between two looks at them: 2 ms; of 50,000 it was 16 ms
RARELY = 200, 50  # looks of one kind between two of the next, at ever older objects


def quieten() -> None:
    """What is there now stays, and no collection looks at it again. Called when a process has made what it lives with:
    a look at all that Feast imports takes 60 ms, and a ranker's features must come within 40."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(EACH, *RARELY)
