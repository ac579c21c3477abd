"""Compiles a share of the users into the pattern that a gateway matches, and back.

Gateways split by a regular expression on a header (RE2, unanchored unless it says otherwise). Written by hand it is
easily wrong: `0[0-4]` also takes bucket 103, and a broken one sends everybody to the weight. So patterns are compiled:
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

# What the bucketer says of a tester, in place of a bucket.
TESTER = "tester"

_DIGITS = "0123456789abcdef"
# How a pattern begins that takes testers, and what stands in one of a cookie between its name and the tail.
TESTERS = f"^{TESTER}$|"
COOKIE_NAMED = "=[^;]*"
_COOKIE_HEAD, _COOKIE_TAIL = r"(^|;\s*)", "(;|$)"
# A cookie is named by a token (RFC 6265) of letters, digits, '-' and '_', so that its name is no pattern itself.
COOKIE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Who knows this word in the testers' header is a tester. It can't be taken for digits.
TESTER_WORD = re.compile(r"[A-Za-z]([A-Za-z0-9-]{2,62})[A-Za-z0-9]")


def _sequence(digit: str, least: int) -> str:
    """What `_sequences` writes of two digits, or of one where `least` is 1."""
    spans = rf"\[[{digit[1:-1]}-]+\]"
    return rf"(({digit}|{spans}){{{least},2}}|{spans}\{{2\}})"


def _alternatives(sequence: str) -> str:
    return rf"({sequence}|\({sequence}(\|{sequence})+\))"


_BUCKETS = _alternatives(_sequence("[0-9]", 2))
_DECIMAL, _HEX = _alternatives(_sequence("[0-9]", 1)), _sequence("[0-9a-f]", 1)
_TAILS = rf"({_DECIMAL}|\(\?i:{_HEX}(\|{_HEX})*\))"
_TAGS = r"(_[A-Za-z0-9-]+|_\([A-Za-z0-9|-]+\))?"
# The patterns whose share can be counted: buckets, the tail of an id, the tail of an id in a cookie.
COMPILED = re.compile(
    rf"({re.escape(TESTERS)})?\^{_BUCKETS}{_TAGS}\$|{_TAILS}{_TAGS}\$"
    rf"|{re.escape(_COOKIE_HEAD)}{COOKIE_NAME.pattern}{re.escape(COOKIE_NAMED)}{_TAILS}{re.escape(_COOKIE_TAIL)}"
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


def bucket_pattern(buckets: range, tags: Sequence[str] = (), testers: bool = False) -> str:
    """Return the anchored pattern of these buckets, of users with one of `tags` if any are given.

    With `testers` it takes whom the bucketer calls a tester, too; but a pattern of no bucket is for nobody.
    """
    if not buckets:
        return NOBODY
    body = _either(_sequences(_BUCKET.base, _BUCKET.width, buckets.start, buckets.stop))
    return f"{TESTERS if testers else ''}^{body}{_suffix(tags)}$"


def tail_pattern(tail: Tail, share: int, tags: Sequence[str] = ()) -> str:
    """Return the pattern of the lowest tails that make up a share in percent, anchored at the end of the id.

    With `tags` the id ends with a tail, `_` and one of them.
    """
    return f"{_tails(tail, share)}{_suffix(tags)}$" if tail.count(share) else NOBODY


def cookie_pattern(name: str, tail: Tail, share: int) -> str:
    """Return the pattern, for the header `Cookie`, of the lowest tails of the cookie `name`."""
    if not COOKIE_NAME.fullmatch(name):
        raise PatternError(f"the cookie {name!r} can't be used; allowed: 1 to 64 letters, digits, '-' and '_'")
    return f"{_COOKIE_HEAD}{name}{COOKIE_NAMED}{_tails(tail, share)}{_COOKIE_TAIL}" if tail.count(share) else NOBODY


def word_pattern(word: str) -> str:
    """Return the pattern of the testers' word."""
    if not TESTER_WORD.fullmatch(word):
        raise PatternError(
            f"the word {word!r} can't be used; allowed: 4 to 64 letters, digits and '-', beginning with a letter"
        )
    return f"^{word}$"


def percent(pattern: str) -> int:
    """Return how many of 100 users a compiled pattern takes, whatever their tags; the testers' word takes none.

    Raises PatternError for a pattern that no function here could have written: what another engine makes of it is not
    known.
    """
    _, base = _digits(pattern)
    return (100 * len(endings(pattern)) + base**2 // 2) // base**2


def endings(pattern: str) -> frozenset[int]:
    """Return which last two digits of a bucket or an id a compiled pattern takes, whatever the tags, as numbers.

    There are 100 of them in decimal and 256 in hex. The testers' word takes none. Raises PatternError like `percent`.
    """
    counted, base = _digits(pattern)
    digits = _DIGITS[:base]
    both = [tens + ones for tens in digits for ones in digits]
    return frozenset(int(two, base) for two in both if counted and re.search(counted, two))


def taken(pattern: str, tag: str = "") -> frozenset[int]:
    """Return the buckets that a bucket pattern takes, among the users of `tag`.

    Raises PatternError for a pattern that `bucket_pattern` could not have written.
    """
    if pattern == NOBODY:
        return frozenset()
    _counted(pattern)
    if not pattern.removeprefix(TESTERS).startswith("^"):
        raise PatternError(f"the pattern {pattern!r} is not a compiled one of buckets; allowed: anchored at both ends")
    compiled = re.compile(pattern, re.ASCII)
    return frozenset(bucket for bucket in range(BUCKETS) if compiled.fullmatch(label(bucket, tag)))


def _is_tester_word(pattern: str) -> bool:
    return pattern[:1] == "^" and pattern[-1:] == "$" and bool(TESTER_WORD.fullmatch(pattern[1:-1]))


def _digits(pattern: str) -> tuple[str, int]:
    """Return what `_counted` does, empty for a pattern that takes nobody by digits, and the base of the digits."""
    counted = "" if pattern == NOBODY or _is_tester_word(pattern) else _counted(pattern)
    return counted, 16 if "(?i:" in counted else 10


def _counted(pattern: str) -> str:
    """Return the part of a compiled pattern that takes digits, to be matched with the last two of them."""
    if not COMPILED.fullmatch(pattern):
        raise PatternError(
            f"the pattern {pattern!r} is not a compiled one; allowed: anchored digits, classes and alternatives"
        )
    digits = pattern.removeprefix(TESTERS).split(COOKIE_NAMED)[-1]
    counted = f"{digits.split('_')[0]}$" if "_" in digits else digits
    try:
        re.compile(counted)
    except re.error as error:
        raise PatternError(f"the pattern {pattern!r} is broken: {error}") from error
    return counted


def _tails(tail: Tail, share: int) -> str:
    sequences = _sequences(tail.base, tail.width, 0, tail.count(share))
    # Ids in hex come in both cases.
    return f"(?i:{'|'.join(sequences)})" if tail.base > 10 else _either(sequences)


def _suffix(tags: Sequence[str]) -> str:
    for tag in tags:
        label(0, tag)
    return f"_{_either(list(tags))}" if tags else ""


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
    """Return what matches one digit from `low` to `high`."""
    spans = _run(low, min(high, 9)) + _run(max(low, 10), high)
    return spans if len(spans) == 1 else f"[{spans}]"


def _run(low: int, high: int) -> str:
    digits = _DIGITS[low : high + 1]
    return digits if len(digits) < 3 else f"{digits[0]}-{digits[-1]}"


def _either(alternatives: list[str]) -> str:
    return alternatives[0] if len(alternatives) == 1 else f"({'|'.join(alternatives)})"
