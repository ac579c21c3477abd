"""A bake that can't show the regression asked for is a ceremony: it is refused before it is waited for."""

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity

from policies.before import Sources
from policies.checkpoint import CheckpointError
from policies.rule import rule
from policies.steps import sentences, step_of
from serinus.rollout.canary_release import ladder_of
from serinus.rollout.expected import unseen


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""

    def refusals(args: ResourceValidationArgs) -> list[str]:
        try:
            step = step_of(args, sources)
        except CheckpointError:
            # What keeps the old weight from being known, weight-ladder says.
            return []
        spec = step.spec if step else None
        if step is None or spec is None or spec.expected is None or not step.rises:
            return []
        found = unseen(spec.expected, ladder_of(spec.ladder), step.new)
        return sentences(found, step.there.release, sources.now())

    return rule(
        "evidence-feasible",
        "A step bakes long enough to see the regression that the stack asks for, at the traffic that it expects.",
        refusals,
        severity=Severity.MEDIUM,
        remedy="Give the rung a longer bakeSeconds, or ask for a larger serinus:expected.smallestRegression.",
    )
