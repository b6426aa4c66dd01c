"""Generated examples: a few at every run, EXAMPLES=1000 for many. How long one takes is no verdict."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("EXAMPLES", "30"))
settings.register_profile(
    "features", max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("features")
