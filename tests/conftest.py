"""For every test: generated cases are not judged by the clock of a busy machine."""

from hypothesis import settings

settings.register_profile("foryou", deadline=None, print_blob=True)
settings.load_profile("foryou")
