"""The rows of the rule table as validations, and the facts that they name as CEL. `params` is the CanaryRelease."""

from collections.abc import Iterator, Mapping

from serinus.rollout import rules as table
from serinus.rollout.admission.cel import literal, sentence, text
from serinus.rollout.admission.policy import Named, Validation
from serinus.rollout.rules import Condition, Fact, Rule
from serinus.rollout.status import read_status
from serinus.rollout.step import Freshness

_FRESHNESS = Freshness()
# A step whose moment can't be told is older than any status may be.
_TIMELESS = "1000000000.0"


# What the rules look at, as CEL. `params` is the CanaryRelease.
EXPRESSIONS: Mapping[Fact, str] = {
    table.OLD: "variables.oldShare",
    table.NEW: "variables.newShare",
    table.NEXT_RUNG: "variables.nextRung",
    table.LADDER: "variables.rungs",
    table.ON_A_RUNG: "(variables.newShare in variables.rungs)",
    table.SERVICE: "params.spec.service",
    table.STATUS_SERVICE: "params.status.service",
    table.CANARY: "params.spec.canary",
    table.STATUS_CANARY: "params.status.canary",
    table.GENERATION: "params.metadata.generation",
    table.OBSERVED_GENERATION: "params.status.observedGeneration",
    table.AGE_SECONDS: "variables.ageSeconds",
    table.MOST_AGE_SECONDS: str(_FRESHNESS.most_age_seconds),
    table.LEAST_AGE_SECONDS: f"({-_FRESHNESS.most_skew_seconds})",
    table.WEIGHT_SEEN: "params.status.weight",
    table.HELD: "params.status.?hold.hasValue()",
    table.HELD_BECAUSE: "params.status.?hold.?reason.orValue('')",
    table.VERDICT: "params.status.?verdict.orValue('')",
    table.VERDICT_BECAUSE: "variables.because",
    table.BAKED_SECONDS: "double(params.status.?bakedSeconds.orValue(0.0))",
    table.BAKE_SECONDS: "double(variables.bakeSeconds)",
    table.APPROVED: "variables.approved",
    table.ALLOWED_WEIGHT: "params.status.allowedWeight",
    table.BACKEND: "variables.newcomer",
    table.CANARY_BACKEND: "variables.canaryBackend",
}


def status_there(change: str) -> Validation:
    """Without a status no rule can look at one, and no rise is allowed."""
    return Validation(
        f"!variables.{change} || params.?status.hasValue()", text(str(read_status(None))), "status-missing"
    )


def validation(
    rule: Rule, change: str = "rises", facts: Mapping[Fact, str] | None = None, *, needs_status: bool
) -> Validation:
    """Render one row of the table: refused when there is such a change and all the row's comparisons hold."""
    expressions = facts or EXPRESSIONS
    passes = [f"!variables.{change}"]
    if needs_status:
        passes.append("!params.?status.hasValue()")
    if rule.waivable:
        passes.append("variables.overridden")
    refuses = " && ".join(condition(compared, expressions) for compared in rule.refuses)
    says = sentence(
        f"{rule.sentence} ({rule.code}). {rule.remedy}", {fact.name: cel for fact, cel in expressions.items()}
    )
    return Validation(f"{' || '.join(passes)} || !({refuses})", says, rule.code)


def condition(compared: Condition, expressions: Mapping[Fact, str] | None = None) -> str:
    """Render one comparison."""
    known, right = expressions or EXPRESSIONS, compared.right
    return f"{known[compared.left]} {compared.operator} {known[right] if isinstance(right, Fact) else literal(right)}"


def facts_of_the_status() -> Iterator[Named]:
    """The variables of what the status says."""
    yield Named(
        "canaryBackend",
        "size(params.spec.canary) > 9 ? "
        "params.spec.service + '-' + params.spec.canary.substring(0, size(params.spec.canary) - 9) : ''",
    )
    yield Named("because", "params.?status.?because.orValue('') == '' ? 'no reason given' : params.status.because")
    # CEL has no clock. But whoever changes a field of the Ingress is noted in it with the API server's own time.
    yield Named(
        "times", "object.metadata.?managedFields.orValue([]).filter(f, has(f.time)).map(f, timestamp(string(f.time)))"
    )
    yield Named(
        "ageSeconds",
        f"size(variables.times) == 0 ? {_TIMELESS} : "
        "double((variables.times.max() - timestamp(string(params.status.observedAt))).getMilliseconds()) / 1000.0",
    )
    yield Named(
        "overridden",
        "params.spec.?override.hasValue() && size(variables.times) > 0 "
        "&& variables.times.max() < timestamp(string(params.spec.override.until))",
    )
