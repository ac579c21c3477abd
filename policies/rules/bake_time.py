"""A step bakes: what goes wrong only after an hour is not seen in a minute."""

from pulumi_policy import ResourceValidationPolicy, Severity

from policies.before import Sources
from policies.rule import rule
from policies.steps import said

_NAME = "bake-time"


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""
    return rule(
        _NAME,
        "A step lasts as long as its rung says before the next rise.",
        lambda args: said(args, sources, _NAME),
        severity=Severity.HIGH,
        remedy="Wait until the bake is over. `serinus status` says how long that is.",
    )
