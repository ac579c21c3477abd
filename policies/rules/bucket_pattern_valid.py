"""A pattern takes exactly the users that it should: a slip in a regular expression moves people who are not asked.

A gateway matches unanchored and by RE2. So `0[0-4]` also takes the bucket 103 of a wider header, and what one engine
refuses another reads as everybody.
"""

from collections.abc import Iterator

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity

from policies.before import Sources, annotations, backends, before, kind_of
from policies.checkpoint import CheckpointError
from policies.rule import rule
from serinus.rollout.patterns import NOBODY, TESTERS, PatternError, endings
from serinus.rollout.share import CANARY, HEADER, LONGEST_PATTERN, OFF, PATTERN, share


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""

    def refusals(args: ResourceValidationArgs) -> Iterator[str]:
        written = annotations(args.props) if kind_of(args) == "Ingress" else {}
        pattern = written.get(PATTERN, "")
        if not pattern or pattern == NOBODY or written.get(CANARY, "").lower() in OFF:
            return
        try:
            there = before(args, sources)
        except CheckpointError:
            # What keeps the old weight from being known, weight-ladder says.
            return
        old = [annotations(one) for one in there.own if backends(one) == backends(args.props)]
        if any(one.get(PATTERN) == pattern and one.get(HEADER) == written.get(HEADER) for one in old):
            return
        try:
            now = _endings(pattern)
        except PatternError as error:
            yield f"{error}. Let the program compile it from serinus:weight."
            return
        was = _known(old[0].get(PATTERN, "")) if old else frozenset()
        if not written.get(HEADER):
            yield f"the pattern {pattern!r} has no header to be matched with. Set {HEADER}."
        elif was and written[HEADER] != old[0].get(HEADER) and share(written) >= share(old[0]):
            ways = f"from {old[0].get(HEADER)} to {written[HEADER]}"
            yield (
                f"the way to split changes {ways}: those who are on the canary would leave it, and others come. "
                "Set the weight to 0, change the way, then raise it."
            )
        elif now <= was:
            return
        elif _of_buckets(pattern) and now != frozenset(range(min(now), min(now) + len(now))):
            yield f"the pattern {pattern!r} takes {_told(now)}: a share has no gaps, or the next one moves users back."
        elif not was <= now:
            yield f"the pattern {pattern!r} leaves out {_told(was - now)}, who are on the canary now, and takes others."

    return rule(
        "bucket-pattern-valid",
        "A pattern for users' buckets is a compiled one, without gaps, and a greater share contains the smaller one.",
        refusals,
        severity=Severity.HIGH,
        remedy="Write no pattern by hand: set serinus:weight, and the program compiles the pattern.",
    )


def _of_buckets(pattern: str) -> bool:
    """Whether a pattern takes whole buckets. One of tails with a single digit takes every tenth ending."""
    return pattern.removeprefix(TESTERS).startswith("^")


def _endings(pattern: str) -> frozenset[int]:
    """The endings of buckets or ids that a pattern takes. Raises PatternError."""
    if len(pattern) > LONGEST_PATTERN:
        raise PatternError(f"the pattern has {len(pattern)} characters; allowed: {LONGEST_PATTERN}")
    return endings(pattern)


def _known(pattern: str) -> frozenset[int]:
    try:
        return _endings(pattern) if pattern else frozenset()
    except PatternError:
        return frozenset()


def _told(found: frozenset[int]) -> str:
    few = sorted(found)
    return f"{len(few)} endings, from {few[0]} to {few[-1]}"
