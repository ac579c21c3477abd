"""Asks a rule directly, without the pack's process."""

from collections.abc import Mapping
from typing import Any

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy
from pulumi_policy.policy import PolicyCustomTimeouts, PolicyResourceOptions
from pulumi_policy.proxy import unknown_checking_proxy

NO_OPTIONS = PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), [])


def refusals(
    rule: ResourceValidationPolicy,
    type_: str,
    props: Mapping[str, Any],
    urn: str,
    config: Mapping[str, Any] | None = None,
) -> list[str]:
    """Return the messages with which the rule refuses this resource."""
    messages: list[str] = []

    def report(message: str, urn: str | None = None) -> None:
        messages.append(message)

    args = ResourceValidationArgs(
        type_, unknown_checking_proxy(dict(props)), urn, urn.split("::")[-1], NO_OPTIONS, None, dict(config or {})
    )
    result = rule.validate(args, report)
    assert result is None, "a rule that is not awaited"
    return messages
