"""Which release one user gets at each step, and why: what the gateway will do, told from what the stack declares.

Nothing is asked of a cluster. The same patterns are matched against the same values as at the gateway, so that a wrong
answer here would be a wrong route there.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from serinus.rollout.buckets import bucket_of, label
from serinus.rollout.patterns import TESTER, PatternError
from serinus.rollout.routing import Split, match

CHANCE = "chance"
STABLE = "stable"
CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a stack declares of its split. salt and testers count with `by: bucket` only, weights are the ladder's."""

    split: Split
    weights: tuple[int, ...]
    salt: str = field(default="", repr=False)
    testers: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """One user's way. value is what the gateway matches; roles are STABLE, CANARY or CHANCE, one for each weight."""

    value: str
    roles: dict[int, str]
    because: str


def route(declared: Declared, user: str, tag: str = "") -> Route:
    """Return the way of the user with this id: the header's, the cookie's or the conversation's, as the split says.

    `tag` is what a proxy says in the second dimension. Raises ValueError for a tag that can't be used.
    """
    split = declared.split
    if split.by == "weight":
        because = "requests are split, not users: each request of anybody may get either release"
        return Route("", {weight: _by_chance(weight) for weight in declared.weights}, because)
    value, seen = _value(declared, user, tag)
    roles = {weight: CANARY if _takes(declared, weight, value) else STABLE for weight in declared.weights}
    but = "; a conversation that has begun stays where it began" if split.conversations == "keep" else ""
    return Route(value, roles, f"{seen}; {_first(declared, value)}{but}")


def shares(declared: Declared) -> list[tuple[int, str, str]]:
    """Return weight, header and pattern of each step; without a header requests are split by the weight."""
    found = []
    for weight in declared.weights:
        said = match(declared.split, weight, bool(declared.testers))
        found.append((weight, said.header, said.pattern))
    return found


def _value(declared: Declared, user: str, tag: str) -> tuple[str, str]:
    split = declared.split
    if split.by == "bucket":
        if user in declared.testers:
            return TESTER, "a tester"
        value = label(bucket_of(user, declared.salt), tag if split.only else "")
        return value, f"bucket {value}"
    value = f"{user}_{tag}" if tag and split.only else user
    if split.by == "cookie":
        return f"{split.cookie}={value}", f"the cookie {split.cookie} ends with {value[-split.digits :]!r}"
    return value, f"the id ends with {value[-split.digits - (len(tag) + 1 if split.only and tag else 0) :]!r}"


def _takes(declared: Declared, weight: int, value: str) -> bool:
    return re.search(match(declared.split, weight, bool(declared.testers)).pattern, value) is not None


def _first(declared: Declared, value: str) -> str:
    patterns = _patterns(declared.split, bool(declared.testers))
    first = next((weight for weight, pattern in patterns if pattern.search(value)), None)
    if first is None:
        only = declared.split.only
        return f"no share takes that: only {' or '.join(only.values)}" if only else "no share takes that"
    return f"on the canary from {first} % on"


@lru_cache(maxsize=8)
def _patterns(split: Split, testers: bool) -> tuple[tuple[int, re.Pattern[str]], ...]:
    """The shares that there can be, with whom they take: of a hexadecimal tail not every percent is one."""
    found = []
    for weight in range(1, 101):
        try:
            found.append((weight, re.compile(match(split, weight, testers).pattern)))
        except PatternError:
            continue
    return tuple(found)


def _by_chance(weight: int) -> str:
    return {0: STABLE, 100: CANARY}.get(weight, CHANCE)
