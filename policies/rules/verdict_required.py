"""No rise on hope: the agent has judged this canary at this weight, and found it no worse than the stable one."""

from pulumi_policy import ResourceValidationPolicy, Severity

from policies.before import Sources
from policies.rule import rule
from policies.steps import said

_NAME = "verdict-required"


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""
    return rule(
        _NAME,
        "A rise needs a fresh verdict that the canary passes.",
        lambda args: said(args, sources, _NAME),
        severity=Severity.CRITICAL,
        remedy="Read `serinus status`: what is missing there, or what the canary did wrong.",
    )
