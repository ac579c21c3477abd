"""One rule a file. A rule reads what a resource is about to become and says what is wrong with it."""

from collections.abc import Sequence

from pulumi_policy import ResourceValidationPolicy

from policies.rules import weight_ladder

RULES: Sequence[ResourceValidationPolicy] = [weight_ladder.rule()]
