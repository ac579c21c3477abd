"""The four verdicts on a canary. Want of data is not health, so it has names of its own."""

from enum import StrEnum


class Verdict(StrEnum):
    """What the judge says of the canary's step."""

    PASS = "pass"  # noqa: S105 (a verdict, not a password): the evidence suffices, and the canary is good enough
    FAIL = "fail"  # the canary is worse than allowed
    INSUFFICIENT = "insufficient"  # requests are counted, but too few to tell
    BLIND = "blind"  # nothing can be counted: telemetry is missing, stale or broken
