"""For every test: generated cases are not judged by the clock of a busy machine; threads may make loggers."""

import logging

from hypothesis import settings

settings.register_profile("foryou", deadline=None, print_blob=True)
settings.load_profile("foryou")


class _Loggers(dict):
    """pytest walks over all loggers before each test; a thread that makes one meanwhile must not stop it."""

    def values(self):
        return list(super().values())


logging.root.manager.loggerDict = _Loggers(logging.root.manager.loggerDict)
