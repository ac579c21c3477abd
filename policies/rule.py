"""What all rules share: each is mandatory, documented, and refuses what it can't read.

What stood there before is no reason to stop an update: else a decrease would wait until an old release is mended.

In a preview a value may not be known yet. The SDK then drops the rule's verdict to an advice, and a mandatory rule
would let the preview pass without having looked.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
)
from pulumi_policy.proxy import UnknownValueError

from policies import checkpoint
from policies.checkpoint import CheckpointError

Refusals = Callable[[ResourceValidationArgs], Iterable[str]]


def rule(
    name: str,
    description: str,
    refusals: Refusals,
    *,
    severity: Severity,
    remedy: str,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    forgives: bool = False,
) -> ResourceValidationPolicy:
    """Build a rule that stops an update.

    `refusals` gives a sentence for each thing that is wrong with a resource. `config` is the JSON schema of each
    setting that `--policy-pack-config` may give. The rule's section in docs/policies.md has the rule's name.
    `forgives`: what was wrong with the resource before this update is not said again.
    """

    def validate(args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        try:
            found = list(refusals(args))
            known = _standing(refusals, args) if found and forgives else set()
            for sentence in [one for one in found if one not in known]:
                report_violation(f"{args.name}: {sentence}", None)
        except UnknownValueError as unknown:
            report_violation(
                f"{args.name}: {'.'.join(unknown.props)} can't be judged, because its value is not known in a preview. "
                "Make it a plain value, not the output of another resource.",
                None,
            )

    return ResourceValidationPolicy(
        name=name,
        description=description,
        validate=validate,
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(properties={key: dict(value) for key, value in (config or {}).items()}),
        severity=severity,
        remediation_steps=remedy,
        url=f"docs/policies.md#{name}",
    )


def _standing(refusals: Refusals, args: ResourceValidationArgs) -> set[str]:
    """Return what was wrong before, by what the last update wanted; nothing where that is not known."""
    try:
        held = checkpoint.states(args.urn)
    except CheckpointError:
        return set()
    before = copy.copy(args)
    known: list[set[str]] = []
    for state in held:
        before.props = state.get("inputs") or {}
        try:
            known.append(set(refusals(before)))
        except (AttributeError, TypeError, ValueError):
            # Its shape is not understood, such as that of a secret: so nothing of it is known.
            known.append(set())
    return set.intersection(*known) if known else set()
