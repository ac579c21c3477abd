"""What holds for all tests: a slow machine fails none, and what passed once passes again."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "serinus",
    # By default a test that takes 200 ms fails, which a busy machine brings about.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # The same examples at each run; `make fuzz` looks for others.
    derandomize="SERINUS_FUZZ" not in os.environ,
)
settings.load_profile("serinus")
