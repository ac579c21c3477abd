"""The reference page of every rule: the table that all readers share, the policy pack's, and the guard's."""

from collections.abc import Iterator

from docs.page import page, table
from policies.rules import RULES
from serinus.rollout import rules as shared
from serinus.rollout.admission import Guarded, policies
from serinus.rollout.rules import Rule

_TABLES = {
    "a rise": (*shared.LADDER_RULES, *shared.STATUS_RULES, *shared.CAP_RULES),
    "a swap": shared.SWAP_RULES,
}


def policies_page() -> str:
    """Return the page."""
    return page(
        [
            "# Rules",
            "A decrease is never asked anything. [policies.md](../policies.md) tells of the pack,"
            " [guard.md](../guard.md) of the guard.",
            "## The table of a step",
            "Policy pack, guard, agent, `serinus plan` and `serinus promote` all apply these rows. An override (a name,"
            " a reason, an end) puts aside those that say so.",
            *table(["code", "refuses", "it says", "remedy", "override", "the pack's rule"], _rows()),
            "## The policy pack",
            "All are mandatory unless `--policy-pack-config` says otherwise.",
            *table(["rule", "severity", "it says", "remedy", "settings"], _pack()),
            "## The guard in the cluster",
            "One ValidatingAdmissionPolicy each, named `<policy>.<service>.<namespace>.serinus.dev`.",
            *table(["policy", "looks at", "on", "codes"], _guard()),
        ]
    )


def _rows() -> Iterator[list[str]]:
    for what, rules in _TABLES.items():
        for rule in rules:
            yield [f"`{rule.code}`", what, rule.sentence, rule.remedy, _waivable(rule), f"`{rule.policy}`"]


def _waivable(rule: Rule) -> str:
    return "puts it aside" if rule.waivable else "no"


def _pack() -> Iterator[list[str]]:
    for rule in RULES:
        names = rule.config_schema.properties if rule.config_schema else {}
        settings = ", ".join(f"`{name}`" for name in names)
        severity = rule.severity.value if rule.severity else ""
        yield [f"`{rule.name}`", severity, rule.description, rule.remediation_steps or "", settings]


def _guard() -> Iterator[list[str]]:
    for policy in policies(Guarded("chat", "serinus", "chat.example.com", "ops:break-glass")):
        codes = ", ".join(f"`{code}`" for code in dict.fromkeys(one.code for one in policy.validations))
        yield [
            f"`{policy.name.partition('.')[0]}`",
            f"`{policy.resource.plural}`",
            ", ".join(operation.lower() for operation in policy.resource.operations),
            codes,
        ]
