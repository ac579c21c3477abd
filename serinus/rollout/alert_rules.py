"""Guards become Prometheus rules: the same groups for an operator's PrometheusRule and for a plain rule file.

An alert carries in its labels what the agent needs to act on it, and in its summary what a person needs to understand
it. Its expression is false, and never an error, while there is nothing to count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from serinus.rollout import alert_queries as ask
from serinus.rollout.alert_guards import Budget, Guard, Guards
from serinus.rollout.alert_queries import Arms
from serinus.rollout.alertmanager import ACTION, SERVICE
from serinus.rollout.demand import Action

GUARD_LABEL = "serinus_guard"
RELEASE_LABEL = "serinus_release"

FAST_SECONDS = 5
SLOW_SECONDS = 15
"""How often the groups are looked at. Guards with a window up to _FAST_WINDOW are in the fast one."""
_FAST_WINDOW = 30
_SEVERITY = {Action.ROLLBACK: "critical", Action.HOLD: "warning", Action.NOTIFY: "info"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a guard asks, and the sentence for people.

    It is violated while `value` is there, is above `limit` where it has one, and `samples` are at least `least`. The
    sentence may hold Prometheus' templates; `$value` is the value.
    """

    value: str
    says: str
    limit: float | None = None
    samples: str = ""
    least: int = 0

    @property
    def expression(self) -> str:
        """What has a value while the rule is violated."""
        above = "" if self.limit is None else f" > {self.limit:g}"
        return f"{self.value}{above}" + (f" and on () {self.samples} >= {self.least}" if self.samples else "")


def asked(arms: Arms, guards: Guards) -> dict[str, Rule]:
    """Return what each guard asks, by name; none for a guard that is off or has nothing to ask at this weight."""
    found = {name: _RULES[name](arms, guard) for name, guard in guards.on().items()}
    return {name: rule for name, rule in found.items() if rule}


def rule_groups(service: str, arms: Arms, guards: Guards) -> list[dict[str, Any]]:
    """Return the groups of rules for a service's canary; none for a guard that is off."""
    rules = [(name, guards.on()[name], rule) for name, rule in asked(arms, guards).items()]
    groups = []
    for suffix, seconds in (("fast", FAST_SECONDS), ("slow", SLOW_SECONDS)):
        alerts = [
            _alert(service, arms, name, guard, rule)
            for name, guard, rule in rules
            if seconds_between_looks(guard) == seconds
        ]
        if alerts:
            name = f"serinus.{arms.namespace}.{service}.{suffix}"
            groups.append({"name": name, "interval": f"{seconds}s", "rules": alerts})
    return groups


def seconds_between_looks(guard: Guard) -> int:
    """How often a guard's rule is looked at."""
    return FAST_SECONDS if guard.windowSeconds <= _FAST_WINDOW else SLOW_SECONDS


def alert_name(guard: str) -> str:
    """The name of a guard's alert, such as SerinusErrorRate."""
    return f"Serinus{guard[0].upper()}{guard[1:]}"


def _alert(service: str, arms: Arms, name: str, guard: Guard, rule: Rule) -> dict[str, Any]:
    action = Action(guard.action)
    return {
        "alert": alert_name(name),
        "expr": rule.expression,
        "for": f"{guard.forSeconds}s",
        "labels": {
            SERVICE: service,
            ACTION: action.value,
            GUARD_LABEL: name,
            RELEASE_LABEL: arms.release,
            # An operator routes an alert only to those who are asked in the alert's own namespace.
            "namespace": arms.namespace,
            "severity": _SEVERITY[action],
        },
        "annotations": {
            "summary": f"canary {arms.release}: {rule.says}",
            "help": f"docs/alerts.md#{name.lower()}",
        },
    }


def _percent(share: float) -> str:
    return f"{share * 100:g} %"


def _span(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _above(part: str, whole: str, guard: Guard, what: str) -> Rule:
    """A share that is too large, of enough samples."""
    limit = f"the limit is {_percent(guard.threshold)} over {_span(guard.windowSeconds)}"
    said = f"{{{{ $value | humanizePercentage }}}} {what}; {limit}"
    return Rule(f"{part} / {whole}", said, guard.threshold, whole, max(guard.minSamples, 1))


def _errors(arms: Arms, guard: Guard) -> Rule:
    window = guard.windowSeconds
    failed = ask.gateway_requests(arms.gateway_canary, window, "5..")
    return _above(failed, ask.gateway_requests(arms.gateway_canary, window), guard, "of the requests failed")


def _broken(arms: Arms, guard: Guard) -> Rule:
    window = guard.windowSeconds
    return _above(ask.broken_answers(arms, window), ask.answers(arms, window), guard, "of the answers broke off")


def _slow(quantile: float) -> Callable[[Arms, Guard], Rule]:
    def rule(arms: Arms, guard: Guard) -> Rule:
        window = guard.windowSeconds
        value = ask.gateway_quantile(arms.gateway_canary, quantile, window)
        requests = ask.gateway_requests(arms.gateway_canary, window)
        limit = f"the limit is {guard.threshold:g} s over {_span(window)}"
        said = f"P{quantile * 100:g} of whole answers is {{{{ $value | humanizeDuration }}}}; {limit}"
        return Rule(value, said, guard.threshold, requests, max(guard.minSamples, 1))

    return rule


def _gpu(arms: Arms, guard: Guard) -> Rule:
    limit = f"the limit is {_percent(guard.threshold)}"
    said = f"a GPU's memory is {{{{ $value | humanizePercentage }}}} full; {limit}"
    return Rule(ask.gpu_memory(arms), said, guard.threshold)


def _offensive(arms: Arms, guard: Guard) -> Rule:
    window = guard.windowSeconds
    whole = ask.scored(arms, window)
    loud = f"({whole} - {ask.scored(arms, window, quiet=True)})"
    return _above(loud, whole, guard, f"of the answers scored {ask.LOUD} or more for offensive language")


def _signal(signal: str, what: str) -> Callable[[Arms, Guard], Rule]:
    def rule(arms: Arms, guard: Guard) -> Rule:
        whole = ask.answers(arms, guard.windowSeconds, "ok")
        return _above(ask.signalled(arms, signal, guard.windowSeconds), whole, guard, f"of the answers {what}")

    return rule


def _budget(arms: Arms, guard: Guard) -> Rule:
    if not isinstance(guard, Budget):
        raise TypeError("a budget has prices")
    prices = {"input": guard.inputPerMillion, "output": guard.outputPerMillion}
    window = guard.windowSeconds
    cost = " + ".join(f"{ask.tokens(arms, which, window)} * {price / 1e6:g}" for which, price in prices.items())
    said = f"it cost {{{{ $value | humanize }}}} in {_span(window)}; the budget is {guard.threshold:g}"
    return Rule(f"({cost})", said, guard.threshold)


def _telemetry_lost(arms: Arms, guard: Guard) -> Rule | None:
    if not arms.weight:
        return None  # nobody is served by it, so nothing needs to be seen of it
    return Rule(ask.silent(arms), "the gateway or every pod of it tells nothing, so nobody knows how it does")


def _no_traffic(arms: Arms, guard: Guard) -> Rule | None:
    if not arms.weight:
        return None
    canary, both = _both(arms, guard.windowSeconds)
    expected = f"({both} * {arms.weight / 100:g})"
    said = f"at weight {arms.weight} some {{{{ $value | humanize }}}} requests were to be expected, and none came"
    return Rule(f"({expected} and {canary} == 0)", said, samples=expected, least=max(guard.minSamples, 1))


def _weight_mismatch(arms: Arms, guard: Guard) -> Rule:
    canary, both = _both(arms, guard.windowSeconds)
    # abs() needs the difference, so that the value is one; the sentence says which way from what is declared.
    value = f"abs({canary} / {both} - {arms.weight / 100:g})"
    said = f"the stack declares weight {arms.weight}, the gateway is {{{{ $value | humanizePercentage }}}} off"
    return Rule(value, said, guard.threshold, both, max(guard.minSamples, 1))


def _both(arms: Arms, window: int) -> tuple[str, str]:
    canary = ask.gateway_requests(arms.gateway_canary, window)
    return canary, f"({canary} + {ask.gateway_requests(arms.gateway_stable, window)})"


_RULES: Mapping[str, Callable[[Arms, Guard], Rule | None]] = {
    "errorRate": _errors,
    "errorRateFast": _errors,
    "brokenAnswers": _broken,
    "brokenAnswersFast": _broken,
    "slowP95": _slow(0.95),
    "slowP95Hard": _slow(0.95),
    "slowP99": _slow(0.99),
    "slowFast": _slow(0.5),
    "gpuMemory": _gpu,
    "offensive": _offensive,
    "emptyAnswers": _signal("empty", "were empty"),
    "loopingAnswers": _signal("repetitive", "go round in circles"),
    "budget": _budget,
    "telemetryLost": _telemetry_lost,
    "noTraffic": _no_traffic,
    "weightMismatch": _weight_mismatch,
}
