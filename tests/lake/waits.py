"""A clock that only waiting moves."""

from foryou.lake.patience import Patience


class Waits:
    """Sleeps at once: `now` says for how long it would have been."""

    def __init__(self):
        self.now = 0.0
        self.patience = Patience(clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds):
        self.now += seconds
