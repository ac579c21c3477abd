"""Compiles a share of the users into the pattern that a gateway matches, and back.

Gateways split by a regular expression on a header (RE2, unanchored unless it says otherwise). Written by hand it is
easily
wrong: `0[0-4]` also takes bucket 103, and a broken one sends everybody to the weight. So patterns are compiled:
anchored, exact, from lower to upper, and only of digits, classes and alternatives, which every engine reads alike.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from serinus.rollout.buckets import BUCKETS, label

# A pattern for no user at all. An empty one would take everybody; one with an anchor in front can be spelled by a
# client.
NOBODY = "a^"
# The share that a tail really takes may differ from the one asked for by this many percentage points.
MOST_DEVIATION = 0.1

_DIGITS = "0123456789abcdef"
_CLASS = r"\[[0-9a-fA-F-]+\](\{[2-4]\})?"
_SEQUENCE = rf"([0-9a-f]|{_CLASS})+"
# What `bucket_pattern` writes, and nothing else.
COMPILED = re.compile(
    rf"\^(?P<body>{_SEQUENCE}|\({_SEQUENCE}(\|{_SEQUENCE})+\))(?P<tags>_[A-Za-z0-9-]+|_\([A-Za-z0-9|-]+\))?\$"
)


class PatternError(ValueError):
    """A share or a pattern that can't be had. The message names the value, what is allowed and the remedy."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last `width` digits of an id that a trusted proxy sets, in base 10 or 16."""

    base: int
    width: int

    def __post_init__(self) -> None:
        if self.base not in (10, 16) or not 1 <= self.width <= 4:
            raise PatternError(
                f"a tail of {self.width} digits in base {self.base} can't be used; allowed: 1 to 4, 10 or 16"
            )

    @property
    def size(self) -> int:
        """How many different tails there are."""
        return int(self.base**self.width)

    def count(self, share: int) -> int:
        """Return how many tails come closest to a share in percent."""
        count = (2 * self.size * share + 100) // 200
        deviation = abs(100 * count / self.size - share)
        if not 0 <= share <= 100 or deviation > MOST_DEVIATION:
            raise PatternError(
                f"{share} % of {self.size} tails can't be had within {MOST_DEVIATION} points; use a tail of more digits"
            )
        return count


_BUCKET = Tail(10, 2)


def bucket_pattern(buckets: range, tags: Sequence[str] = ()) -> str:
    """Return the anchored pattern of these buckets, of users with one of `tags` if any are given."""
    for tag in tags:
        label(0, tag)
    if not buckets:
        return NOBODY
    suffix = f"_{_either(list(tags))}" if tags else ""
    return f"^{_either(_sequences(_BUCKET.base, _BUCKET.width, buckets.start, buckets.stop))}{suffix}$"


def tail_pattern(tail: Tail, share: int) -> str:
    """Return the pattern of the lowest tails that make up a share in percent, anchored at the end of the id."""
    count = tail.count(share)
    return f"{_either(_sequences(tail.base, tail.width, 0, count))}$" if count else NOBODY


def taken(pattern: str, tag: str = "") -> frozenset[int]:
    """Return the buckets that a bucket pattern takes, among the users of `tag`.

    Raises PatternError for a pattern that `bucket_pattern` could not have written: what another engine makes of it is
    not known.
    """
    if pattern == NOBODY:
        return frozenset()
    if not COMPILED.fullmatch(pattern):
        raise PatternError(
            f"the pattern {pattern!r} is not a compiled one; allowed: anchored digits, classes and alternatives"
        )
    try:
        compiled = re.compile(pattern, re.ASCII)
    except re.error as error:
        raise PatternError(f"the pattern {pattern!r} is broken: {error}") from error
    return frozenset(bucket for bucket in range(BUCKETS) if compiled.fullmatch(label(bucket, tag)))


def _sequences(base: int, width: int, low: int, high: int) -> list[str]:
    """Cover the numbers from `low` up to but not with `high` by sequences of digits and classes, each number once."""
    if low == 0 and high == base**width:
        return [_class(base, 0, base - 1) + (f"{{{width}}}" if width > 1 else "")]
    if width == 1:
        return [_class(base, low, high - 1)]
    unit = base ** (width - 1)
    (first, inner), (last, outer) = divmod(low, unit), divmod(high, unit)
    if first == last:
        return [_class(base, first, first) + rest for rest in _sequences(base, width - 1, inner, outer)]
    found = []
    if inner:
        found += [_class(base, first, first) + rest for rest in _sequences(base, width - 1, inner, unit)]
        first += 1
    if first < last:
        found += [_class(base, first, last - 1) + rest for rest in _sequences(base, width - 1, 0, unit)]
    if outer:
        found += [_class(base, last, last) + rest for rest in _sequences(base, width - 1, 0, outer)]
    return found


def _class(base: int, low: int, high: int) -> str:
    """Return what matches one digit from `low` to `high`; letters in both cases, as ids come in both."""
    letters = _run(max(low, 10), high)
    spans = _run(low, min(high, 9)) + letters + letters.upper()
    return spans if len(spans) == 1 else f"[{spans}]"


def _run(low: int, high: int) -> str:
    digits = _DIGITS[low : high + 1]
    return digits if len(digits) < 3 else f"{digits[0]}-{digits[-1]}"


def _either(alternatives: list[str]) -> str:
    return alternatives[0] if len(alternatives) == 1 else f"({'|'.join(alternatives)})"
