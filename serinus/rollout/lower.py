"""How the agent takes a canary back to the step before: what its Ingress must say for that.

A share is written as a weight or as a pattern, and the agent knows the Ingress only, not the settings that it was made
from. So the part of the pattern that stands for the old share is replaced, and what comes out is counted: it is used
only where it takes exactly the new share, of the users who are on the canary now.
"""

from collections.abc import Iterator, Mapping

from serinus.rollout.patterns import PatternError, Tail, endings, percent, tail_pattern
from serinus.rollout.share import PATTERN, WEIGHT, share

_TAILS = tuple(Tail(base, width) for base in (10, 16) for width in (2, 1))


def lower(annotations: Mapping[str, str], weight: int) -> dict[str, str] | None:
    """Return the annotations that bring a canary Ingress with these annotations down to `weight` percent.

    None where that can't be said, or would be no decrease. They name the weight always, so that whoever applies them
    owns it.
    """
    old, pattern = share(annotations), annotations.get(PATTERN, "")
    if not 0 < weight < old:
        return None
    found: list[dict[str, str]] = []
    if annotations.get(WEIGHT, "0") == str(old):
        found.append({WEIGHT: str(weight)})
    elif annotations.get(WEIGHT, "0") == "0" and pattern:
        found += [{WEIGHT: "0", PATTERN: lowered} for lowered in _lowered(pattern, old, weight)]
    return next((one for one in found if share({**annotations, **one}) == weight), None)


def _lowered(pattern: str, old: int, new: int) -> Iterator[str]:
    """Yield patterns of the same kind for the lowest `new` percent of the users, all of whom `pattern` takes."""
    for tail in _TAILS:
        try:
            before, after = (tail_pattern(tail, percentage).removesuffix("$") for percentage in (old, new))
            candidate = pattern.replace(before, after, 1)
            if candidate != pattern and endings(candidate) < endings(pattern) and percent(candidate) == new:
                yield candidate
        except PatternError:
            continue
