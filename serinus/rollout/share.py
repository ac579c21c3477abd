"""How much of the traffic an Ingress' annotations may send to the canary, in percent.

A gateway splits by weight, by header and by cookie. A guard that reads the weight alone is passed by a pattern, so all
of them count. What can't be counted may be everything.
"""

import re
from collections.abc import Mapping

from serinus.rollout.patterns import NOBODY, TESTER_WORD, PatternError, percent

PREFIX = "nginx.ingress.kubernetes.io"
CANARY = f"{PREFIX}/canary"
WEIGHT = f"{PREFIX}/canary-weight"
WEIGHT_TOTAL = f"{PREFIX}/canary-weight-total"
HEADER = f"{PREFIX}/canary-by-header"
HEADER_VALUE = f"{PREFIX}/canary-by-header-value"
PATTERN = f"{PREFIX}/canary-by-header-pattern"
COOKIE = f"{PREFIX}/canary-by-cookie"

# The only header in which a word may be a pattern: nobody sends it but who wants the canary. In any other it may stand
# in every request there is.
TESTER_HEADER = "X-Serinus-Tester"
TESTER_COOKIE = "serinus-tester"
# What the bucketer says of a user.
BUCKET_HEADER = "X-User-Bucket"
# What it brings to the release that answers, for the client: `serinus.bucketer.keeping`.
KEEP_HEADER = "X-Serinus-Keep"
TESTER = re.compile(rf"\^{TESTER_WORD.pattern}\$")

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
    # Whom the pattern does not take is still split by weight: the shares add up.
    return min(EVERYTHING, int(annotations.get(WEIGHT, "0")) + (percent(pattern) if pattern else 0))


def cut(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that send nobody to the canary any more, whatever sent somebody there before.

    For an Ingress as the stack renders it they are what it renders for weight 0, so that a stack that comes down to 0
    agrees with the cut. What else opens the canary, by somebody's hand, is shut as well.
    """
    by_header = {PATTERN: NOBODY} if any(annotations.get(key, "") for key in (HEADER, PATTERN)) else {}
    return {WEIGHT: "0", **by_header, **{key: "" for key in OPEN_TO_ANYBODY if annotations.get(key, "")}}


def _countable(annotations: Mapping[str, str]) -> bool:
    pattern = annotations.get(PATTERN, "")
    if annotations.get(HEADER, "") and not pattern:
        return False
    if pattern:
        if len(pattern) > LONGEST_PATTERN:
            return False
        if TESTER.fullmatch(pattern) and annotations.get(HEADER, "") != TESTER_HEADER:
            return False
        try:
            percent(pattern)
        except PatternError:
            return False
    return (
        re.fullmatch(A_WEIGHT, annotations.get(WEIGHT, "0"), re.ASCII) is not None
        and annotations.get(WEIGHT_TOTAL, "100") == "100"
        and not any(annotations.get(key, "") for key in OPEN_TO_ANYBODY)
    )
