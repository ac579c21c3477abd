"""One rule a file. A rule reads what a resource is about to become and says what is wrong with it."""

from collections.abc import Sequence

from pulumi_policy import ResourceValidationPolicy

from policies.rules import (
    gpu_requested,
    image_pinned_by_digest,
    no_secrets_in_annotations,
    probes_and_grace,
    weight_ladder,
)

RULES: Sequence[ResourceValidationPolicy] = [
    weight_ladder.build(),
    image_pinned_by_digest.RULE,
    gpu_requested.RULE,
    probes_and_grace.RULE,
    no_secrets_in_annotations.RULE,
]
