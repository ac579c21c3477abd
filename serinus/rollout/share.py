"""How much of the traffic an Ingress' annotations may send to the canary, in percent.

A gateway splits by weight, by header and by cookie. A guard that reads the weight alone is passed by a pattern, so all
of them count. What can't be counted may be everything.
"""

import re
from collections.abc import Mapping

from serinus.rollout.patterns import COMPILED, PatternError, taken

PREFIX = "nginx.ingress.kubernetes.io"
CANARY = f"{PREFIX}/canary"
WEIGHT = f"{PREFIX}/canary-weight"
WEIGHT_TOTAL = f"{PREFIX}/canary-weight-total"
HEADER = f"{PREFIX}/canary-by-header"
HEADER_VALUE = f"{PREFIX}/canary-by-header-value"
PATTERN = f"{PREFIX}/canary-by-header-pattern"
COOKIE = f"{PREFIX}/canary-by-cookie"

# What gateways read as "no"; anything else may switch the canary on.
OFF = ("", "0", "f", "false")
# A header or a cookie without a pattern lets everybody in who knows it.
OPEN_TO_ANYBODY = (HEADER_VALUE, COOKIE)
A_WEIGHT = "100|0{0,2}[0-9]|0?[0-9]{2}"
# A longer pattern is none of ours, and slow to count.
LONGEST_PATTERN = 256
EVERYTHING = 100


def share(annotations: Mapping[str, str], uncounted: int = EVERYTHING) -> int:
    """Return the canary's share in percent, 0 to 100; `uncounted` where it can't be counted.

    For what somebody asks for, `uncounted` is everything. For what is there already it is 0, so that nobody rises
    from a share that was never seen.
    """
    if annotations.get(CANARY, "").lower() in OFF:
        return 0
    if not _countable(annotations):
        return uncounted
    pattern = annotations.get(PATTERN, "")
    buckets = len(taken(_without_tags(pattern))) if pattern else 0
    # Whom the pattern does not take is still split by weight: the shares add up.
    return min(EVERYTHING, int(annotations.get(WEIGHT, "0")) + buckets)


def _countable(annotations: Mapping[str, str]) -> bool:
    pattern = annotations.get(PATTERN, "")
    if annotations.get(HEADER, "") and not pattern:
        return False
    if pattern:
        if len(pattern) > LONGEST_PATTERN:
            return False
        try:
            taken(_without_tags(pattern))
        except PatternError:
            return False
    return (
        re.fullmatch(A_WEIGHT, annotations.get(WEIGHT, "0"), re.ASCII) is not None
        and annotations.get(WEIGHT_TOTAL, "100") == "100"
        and not any(annotations.get(key, "") for key in OPEN_TO_ANYBODY)
    )


def _without_tags(pattern: str) -> str:
    """Drop the tags of a compiled pattern: whoever has a bucket in it counts, tagged or not."""
    return f"{pattern.split('_')[0]}$" if COMPILED.fullmatch(pattern) and "_" in pattern else pattern
