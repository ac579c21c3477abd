"""Some rungs are for people to take: the ladder says which, and the approval who."""

from pulumi_policy import ResourceValidationPolicy, Severity

from policies.before import Sources
from policies.rule import rule
from policies.steps import said

_NAME = "approval-required"


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""
    return rule(
        _NAME,
        "A rise to a rung that asks for a person's approval has one.",
        lambda args: said(args, sources, _NAME),
        severity=Severity.HIGH,
        remedy="Ask for `serinus approve`.",
    )
