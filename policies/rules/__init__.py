"""One rule a file. A rule reads what a resource is about to become and says what is wrong with it."""

from collections.abc import Callable, Sequence

from pulumi_policy import ResourceValidationPolicy

from policies.before import Sources
from policies.rules import (
    approval_required,
    bake_time,
    bucket_pattern_valid,
    capacity_headroom,
    evidence_feasible,
    gpu_requested,
    image_pinned_by_digest,
    no_rise_while_held,
    no_secrets_in_annotations,
    probes_and_grace,
    release_immutable_while_live,
    verdict_required,
    weight_ladder,
)

_OF_CHANGES: Sequence[Callable[[Sources], ResourceValidationPolicy]] = [
    weight_ladder.build,
    bake_time.build,
    verdict_required.build,
    approval_required.build,
    no_rise_while_held.build,
    release_immutable_while_live.build,
    evidence_feasible.build,
    capacity_headroom.build,
    bucket_pattern_valid.build,
]
_OF_RESOURCES: Sequence[ResourceValidationPolicy] = [
    image_pinned_by_digest.RULE,
    gpu_requested.RULE,
    probes_and_grace.RULE,
    no_secrets_in_annotations.RULE,
]


def rules(sources: Sources) -> list[ResourceValidationPolicy]:
    """Build all rules; `sources` say what there was before the update."""
    return [*(build(sources) for build in _OF_CHANGES), *_OF_RESOURCES]


RULES: Sequence[ResourceValidationPolicy] = rules(Sources())
