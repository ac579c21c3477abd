"""When a rise is refused: the rules as data, and the one place that applies them.

A rule is a few comparisons between named facts, not code, so that other readers can render the same table: the
admission policy needs it as CEL. The first rule of all is in `refusals`: whoever lowers the weight, or leaves it, is
never asked anything.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from serinus.rollout.violation import Violation

Value = bool | int | float | str
Operator = Literal["==", "!=", "<", ">"]

_COMPARE: Mapping[Operator, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Fact:
    """The name of something a rule may look at."""

    name: str


Facts = Mapping[Fact, Value]

OLD = Fact("old")
NEW = Fact("new")
NEXT_RUNG = Fact("next_rung")
LADDER = Fact("ladder")
ON_A_RUNG = Fact("on_a_rung")
SERVICE = Fact("service")
STATUS_SERVICE = Fact("status_service")
CANARY = Fact("canary")
STATUS_CANARY = Fact("status_canary")
GENERATION = Fact("generation")
OBSERVED_GENERATION = Fact("observed_generation")
AGE_SECONDS = Fact("age_seconds")
MOST_AGE_SECONDS = Fact("most_age_seconds")
LEAST_AGE_SECONDS = Fact("least_age_seconds")
WEIGHT_SEEN = Fact("weight_seen")
HELD = Fact("held")
HELD_BECAUSE = Fact("held_because")
VERDICT = Fact("verdict")
VERDICT_BECAUSE = Fact("verdict_because")
BAKED_SECONDS = Fact("baked_seconds")
BAKE_SECONDS = Fact("bake_seconds")
APPROVED = Fact("approved")
ALLOWED_WEIGHT = Fact("allowed_weight")
BACKEND = Fact("backend")
CANARY_BACKEND = Fact("canary_backend")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a fact with another fact or with a constant."""

    left: Fact
    operator: Operator
    right: Fact | Value

    def holds(self, facts: Facts) -> bool:
        """Compare; a fact that is not among `facts` is a KeyError."""
        right = facts[self.right] if isinstance(self.right, Fact) else self.right
        return _COMPARE[self.operator](facts[self.left], right)


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to refuse a rise.

    refuses: the rule refuses when all of these hold.
    sentence, remedy: templates over the facts' names.
    waivable: whether an override (a name, a reason, an end) may put the rule aside.
    policy: the rule of the policy pack that this row belongs to.
    """

    code: str
    refuses: tuple[Condition, ...]
    sentence: str
    remedy: str
    waivable: bool = False
    policy: str = "verdict-required"

    def violation(self, facts: Facts) -> Violation:
        """Say what is wrong, with the facts' values."""
        values = {fact.name: value for fact, value in facts.items()}
        return Violation(self.code, self.sentence.format_map(values), self.remedy.format_map(values))


LADDER_RULES = (
    Rule(
        "skipped-rung",
        (Condition(NEW, ">", NEXT_RUNG),),
        "the weight may not rise from {old} to {new}: this skips the rung {next_rung}",
        "Set the weight to {next_rung}, the next rung of {ladder}, or to anything up to {old}.",
        waivable=True,
        policy="weight-ladder",
    ),
    Rule(
        "not-a-rung",
        (Condition(ON_A_RUNG, "==", False),),
        "the weight may not rise from {old} to {new}: {new} is not a rung of the ladder",
        "Set the weight to {next_rung}, the next rung of {ladder}, or to anything up to {old}.",
        policy="weight-ladder",
    ),
)

STATUS_RULES = (
    Rule(
        "other-service",
        (Condition(STATUS_SERVICE, "!=", SERVICE),),
        "the status is of the service {status_service}, not of {service}",
        "Read the CanaryRelease of {service}.",
    ),
    Rule(
        "other-release",
        (Condition(STATUS_CANARY, "!=", CANARY),),
        "the status judges the release {status_canary}, not the canary {canary}",
        "Wait until the agent has seen {canary}.",
    ),
    Rule(
        "generation-not-observed",
        (Condition(OBSERVED_GENERATION, "!=", GENERATION),),
        "the agent has seen generation {observed_generation} of the CanaryRelease, which is now at {generation}",
        "Wait until the agent has read the newest spec.",
    ),
    Rule(
        "status-stale",
        (Condition(AGE_SECONDS, ">", MOST_AGE_SECONDS),),
        "the status is {age_seconds} s old, older than {most_age_seconds} s",
        "Check that the agent runs; it writes the status every few seconds.",
    ),
    Rule(
        "status-from-the-future",
        (Condition(AGE_SECONDS, "<", LEAST_AGE_SECONDS),),
        "the age of the status is {age_seconds} s, so one of the clocks is wrong",
        "Set the clocks of this machine and of the agent's node.",
    ),
    Rule(
        "weight-not-seen",
        (Condition(WEIGHT_SEEN, "!=", OLD),),
        "the gateway serves weight {weight_seen}, but the step starts from {old}",
        "Run `pulumi up --refresh`, or wait until the gateway serves what is declared.",
    ),
    Rule(
        "held",
        (Condition(HELD, "==", True),),
        "the release is held: {held_because}",
        "Look at the evidence, then run `serinus resume` with a name and a reason.",
        policy="no-rise-while-held",
    ),
    Rule(
        "verdict-missing",
        (Condition(VERDICT, "==", ""),),
        "the canary was not judged yet",
        "Wait for the agent's first verdict.",
        waivable=True,
    ),
    Rule(
        "verdict-failed",
        (Condition(VERDICT, "==", "fail"),),
        "the canary failed: {verdict_because}",
        "Lower the weight to 0 and ship a better release.",
    ),
    Rule(
        "verdict-blind",
        (Condition(VERDICT, "==", "blind"),),
        "the canary can't be judged: {verdict_because}",
        "Bring the telemetry back; no data is not health.",
        waivable=True,
    ),
    Rule(
        "verdict-insufficient",
        # At weight 0 nobody could have seen the canary: the first rung is where its evidence comes from.
        (Condition(OLD, ">", 0), Condition(VERDICT, "==", "insufficient")),
        "the evidence is not enough yet: {verdict_because}",
        "Wait for more requests; `serinus plan` says how many hours the step needs.",
        waivable=True,
    ),
    Rule(
        "bake-not-over",
        (Condition(BAKED_SECONDS, "<", BAKE_SECONDS),),
        "the step at {old} has baked {baked_seconds} s of its {bake_seconds} s",
        "Wait until the bake is over.",
        waivable=True,
        policy="bake-time",
    ),
    Rule(
        "approval-missing",
        (Condition(APPROVED, "==", False),),
        "the rise from {old} to {new} needs an approval",
        "Ask for `serinus approve`.",
        policy="approval-required",
    ),
)

# What the agent knows beyond the rules above, such as a spent budget, it says by the weight that it allows.
CAP_RULES = (
    Rule(
        "above-allowed-weight",
        (Condition(NEW, ">", ALLOWED_WEIGHT),),
        "the weight may not rise from {old} to {new}: the agent allows {allowed_weight} now",
        "Read the reasons in `serinus status`.",
        waivable=True,
    ),
)

# A swap gives every user the release that becomes the stable one. So it is asked for as a step past the top.
_ALSO_OF_A_SWAP = (
    "other-service",
    "other-release",
    "generation-not-observed",
    "status-stale",
    "status-from-the-future",
    "held",
    "verdict-failed",
    "bake-not-over",
)
SWAP_RULES = (
    Rule(
        "untested-stable",
        (Condition(BACKEND, "!=", CANARY_BACKEND),),
        "all users would move to {backend} at once, and it is not the canary",
        "Declare it as the canary and raise that to 100 first.",
    ),
    Rule(
        "swap-too-early",
        (Condition(WEIGHT_SEEN, "<", 100),),
        "only {weight_seen} % of the users are on {backend}, and a swap moves the others at once",
        "Raise the canary to 100 first.",
    ),
)
SWAP_STATUS_RULES = tuple(rule for rule in STATUS_RULES if rule.code in _ALSO_OF_A_SWAP)

WAIVABLE = frozenset(rule.code for rule in (*LADDER_RULES, *STATUS_RULES, *CAP_RULES) if rule.waivable)

_POLICIES = {rule.code: rule.policy for rule in (*LADDER_RULES, *STATUS_RULES, *CAP_RULES)}


def policy_of(code: str) -> str:
    """Return the rule of the policy pack that says this violation of a step."""
    return _POLICIES.get(code, "verdict-required")


def refusals(rules: Sequence[Rule], facts: Facts) -> list[Violation]:
    """Apply the rules to one change of weight; an empty list allows it.

    Only a rise is ever refused. `facts` must hold `OLD`, `NEW` and all that the rules and their templates name.
    """
    return refused(rules, facts) if Condition(NEW, ">", OLD).holds(facts) else []


def refused(rules: Sequence[Rule], facts: Facts) -> list[Violation]:
    """Apply the rules to a change that is known to be no decrease and no way back."""
    return [rule.violation(facts) for rule in rules if all(condition.holds(facts) for condition in rule.refuses)]
