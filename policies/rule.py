"""What all rules share: each is mandatory, documented, and refuses what it can't read.

In a preview a value may not be known yet. The SDK then drops the rule's verdict to an advice, and a mandatory rule
would let the preview pass without having looked.
"""

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

Refusals = Callable[[ResourceValidationArgs], Iterable[str]]


def rule(
    name: str,
    description: str,
    refusals: Refusals,
    *,
    severity: Severity,
    remedy: str,
    config: Mapping[str, Mapping[str, Any]] | None = None,
) -> ResourceValidationPolicy:
    """Build a rule that stops an update.

    `refusals` gives a sentence for each thing that is wrong with a resource. `config` is the JSON schema of each
    setting that `--policy-pack-config` may give. The rule's section in docs/policies.md has the rule's name.
    """

    def validate(args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        try:
            for sentence in refusals(args):
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
