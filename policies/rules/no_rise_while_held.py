"""A hold outlives the pipeline that ran into it: nothing rises until somebody has looked and says so."""

from pulumi_policy import ResourceValidationPolicy, Severity

from policies.before import Sources
from policies.rule import rule
from policies.steps import said

_NAME = "no-rise-while-held"


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""
    return rule(
        _NAME,
        "While a release is held its weight does not rise.",
        lambda args: said(args, sources, _NAME),
        severity=Severity.CRITICAL,
        remedy="Look at the evidence, then run `serinus resume` with a name and a reason.",
    )
