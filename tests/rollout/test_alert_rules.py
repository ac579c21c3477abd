"""Every guard in the real rule engine: fires, stays silent, without data, over a reset, at the first increment."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from serinus.rollout.alert_guards import DEFAULTS, Guard, Guards
from serinus.rollout.alert_queries import Arms, gateway_label
from serinus.rollout.alert_rules import alert_name, rule_groups
from tests.rollout.promtool import STEP, Case, Stretch, Unit, check, run

RELEASE = "v2-0123abcd"
PLACE = ("serinus", "chat-stable", "chat-v1", "http")
CANARY, STABLE = gateway_label(*PLACE, canary=True), gateway_label(*PLACE)
TARGET = 'job="all",instance="one"'
OF_PODS = f'namespace="serinus",release="{RELEASE}",{TARGET}'
ARMS = Arms("serinus", RELEASE, "chat-v2", CANARY, STABLE, weight=20)


def gateway(arm: str, code: int = 200) -> str:
    return f'traefik_service_requests_total{{service="{arm}",code="{code}",{TARGET}}}'


def edge(le: str) -> str:
    return f'traefik_service_request_duration_seconds_bucket{{service="{CANARY}",le="{le}",{TARGET}}}'


def requests(outcome: str) -> str:
    return f'llm_requests_total{{outcome="{outcome}",{OF_PODS}}}'


def signal(name: str) -> str:
    return f'llm_answer_signals_total{{signal="{name}",{OF_PODS}}}'


def score(part: str, labels: str = "") -> str:
    return f"llm_output_offensive_score_{part}{{{labels}{OF_PODS}}}"


GOOD: Unit = {gateway(CANARY): 1}
EDGES = ("0.5", "1", "2", "3", "10", "20", "+Inf")


def took(seconds: float) -> Unit:
    """A request that took so long."""
    return GOOD | {edge(le): 1 for le in EDGES if seconds <= float(le)}


ANSWERED: Unit = {requests("ok"): 1}
SHARES: Mapping[str, tuple[Unit, Unit]] = {
    "errorRate": ({gateway(CANARY, 500): 1}, GOOD),
    "errorRateFast": ({gateway(CANARY, 503): 1}, GOOD),
    "brokenAnswers": ({requests("engine_error"): 1}, ANSWERED),
    "brokenAnswersFast": ({requests("timeout"): 1}, ANSWERED),
    "slowP95": (took(1.5), took(0.7)),
    "slowP95Hard": (took(5), took(2.5)),
    "slowP99": (took(2.5), took(1.5)),
    "slowFast": (took(15), took(5)),
    "offensive": ({score("count"): 1}, {score("count"): 1, score("bucket", 'le="0.8",'): 1}),
    "emptyAnswers": ({signal("empty"): 1} | ANSWERED, ANSWERED),
    "loopingAnswers": ({signal("repetitive"): 1} | ANSWERED, ANSWERED),
}
"""By guard: what a bad and what a good request add to the counters."""
QUANTILES = {"slowP95": 0.05, "slowP95Hard": 0.05, "slowP99": 0.01, "slowFast": 0.5}
"""The share of slow requests beyond which a quantile passes its limit."""


def guards(**changes: object) -> Guards:
    """The guards that are named, with their changes, and no other."""
    return Guards.model_validate({name: {"action": "off"} for name in DEFAULTS} | changes)


def expression(groups: list[dict[str, Any]]) -> str:
    (group,) = groups
    (rule,) = group["rules"]
    return str(rule["expr"])


@pytest.mark.parametrize("name", SHARES)
def test_a_guard_on_a_share_fires_when_the_share_is_passed_and_only_then(
    name: str, promtool: Path, tmp_path: Path
) -> None:
    bad, good = SHARES[name]
    only = guards(**{name: {"action": "rollback"}})
    guard: Guard = getattr(only, name)
    limit = QUANTILES.get(name, guard.threshold)
    groups = rule_groups("chat", ARMS, only)
    asked = expression(groups)
    # Ten times as many in a window as are needed; for the fast ones what a busy service has.
    step = STEP if guard.windowSeconds <= 30 else 3 * STEP
    rate = 10 * guard.minSamples * step / guard.windowSeconds
    window, lasting = guard.windowSeconds, guard.forSeconds
    settled = window + lasting + 60
    above, below = min(1.0, 1.6 * limit), 0.6 * limit

    def stretch(seconds: int, share: float, reset: bool = False, rate: float = rate) -> Stretch:
        return Stretch(seconds, [(rate * share, bad), (rate * (1 - share), good)], reset)

    few = stretch(settled, 1.0, rate=0.5 * guard.minSamples * step / window)
    # Bad requests whose series did not exist before them, in one step between two looks.
    burst = [stretch(window + 60, 0), Stretch(step, [(4 * rate * window / step, bad)]), stretch(window // 3, 0)]
    check(
        promtool,
        tmp_path,
        groups,
        alert_name(name),
        [
            Case("passed", [stretch(settled, above)], {settled: True}),
            Case("kept", [stretch(settled, below)], {settled: False}),
            Case("too few to tell", [few], {settled: False}),
            Case("no requests", [stretch(settled, 0, rate=0)], {settled: False}),
            Case("no series", [Stretch(settled)], {settled: False}),
            Case("it was so for a moment only", [stretch(window, 0), stretch(step, above)], {window + step: False}),
            Case("well again", [stretch(settled, above), stretch(window + 30, 0)], {settled + window + 30: False}),
            Case("reset while passed", [stretch(settled, above), stretch(60, above, True)], {settled + 60: True}),
            Case("reset while kept", [stretch(settled, below), stretch(60, below, True)], {settled + 60: False}),
            Case(
                "the first bad ones, unseen before",
                burst,
                {window + 60: False, window + 60 + step: True},
                of=asked,
                born=frozenset(set(bad) - set(good)),
            ),
        ],
        step,
    )


def test_a_series_that_prometheus_only_begins_to_read_is_not_taken_for_a_burst(promtool: Path, tmp_path: Path) -> None:
    groups = rule_groups("chat", ARMS, guards(errorRateFast={"action": "rollback"}))
    old = {gateway(CANARY, 500): [None] * 6 + [900.0] * 8, gateway(CANARY): [None] * 6 + [1000.0] * 8}
    known = {"up" + "{" + TARGET + "}": [None] * 6 + [1.0] * 8}
    seconds = range(0, 70, STEP)
    cases = [Case("a new Prometheus", [], dict.fromkeys(seconds, False), gauges={**old, **known})]
    check(promtool, tmp_path, groups, alert_name("errorRateFast"), cases)


def test_a_full_gpu_is_told_when_it_stays_full(promtool: Path, tmp_path: Path) -> None:
    groups = rule_groups("chat", ARMS, guards(gpuMemory={"action": "hold"}))

    def memory(pod: str, used: float, steps: int = 60) -> dict[str, list[float | None]]:
        labels = f'{{namespace="serinus",pod="{pod}",gpu="0"}}'
        return {
            f"DCGM_FI_DEV_FB_USED{labels}": [used] * steps,
            f"DCGM_FI_DEV_FB_FREE{labels}": [100 - used] * steps,
        }

    check(
        promtool,
        tmp_path,
        groups,
        alert_name("gpuMemory"),
        [
            Case("95 %", [], {170: False, 190: True}, gauges=memory("chat-v2-7d-x", 95)),
            Case("85 %", [], {190: False}, gauges=memory("chat-v2-7d-x", 85)),
            Case("one of two is full", [], {190: True}, gauges=memory("chat-v2-a", 5) | memory("chat-v2-b", 95)),
            Case("another release's", [], {190: False}, gauges=memory("chat-v1-7d-x", 95)),
            Case("no exporter", [Stretch(200)], {190: False}),
        ],
    )


def test_the_budget_of_a_day_counts_tokens_of_both_kinds_at_their_prices(promtool: Path, tmp_path: Path) -> None:
    prices = {"action": "hold", "threshold": 10, "inputPerMillion": 1, "outputPerMillion": 4}
    groups = rule_groups("chat", ARMS, guards(budget=prices))

    def used(read: float, written: float) -> Unit:
        return {f'llm_tokens_total{{type="{kind}",{OF_PODS}}}': n for kind, n in (("input", read), ("output", written))}

    span = 600
    check(
        promtool,
        tmp_path,
        groups,
        alert_name("budget"),
        [
            Case("12", [Stretch(span, [(5 / span, used(4e6, 2e6))])], {span: True}),
            Case("9", [Stretch(span, [(5 / span, used(5e6, 1e6))])], {span: False}),
            Case(
                "6 and 6 after a reset",
                [Stretch(span, [(5 / span, used(2e6, 1e6))], r) for r in (False, True)],
                {2 * span: True},
            ),
            Case("9 at once", [Stretch(60), Stretch(STEP, [(1, used(1e6, 2e6))]), Stretch(60)], {120: False}),
            Case("nothing", [Stretch(span)], {span: False}),
        ],
    )


def test_lost_telemetry_is_told_because_no_other_guard_could(promtool: Path, tmp_path: Path) -> None:
    groups = rule_groups("chat", ARMS, guards(telemetryLost={"action": "hold"}))
    pods, reloads = f"llm_build_info{{{OF_PODS}}}", f"traefik_config_last_reload_success{{{TARGET}}}"
    there: list[float | None] = [1.0] * 85
    # A target that is gone leaves staleness marks, or, with its Prometheus, nothing for five minutes.
    gone: list[float | None] = [1.0] * 5
    check(
        promtool,
        tmp_path,
        groups,
        alert_name("telemetryLost"),
        [
            Case("both tell", [], {420: False}, gauges={pods: there, reloads: there}),
            Case("the pods are gone", [], {420: True}, gauges={pods: gone, reloads: there}),
            Case("the gateway is gone", [], {420: True}, gauges={pods: there, reloads: gone}),
            Case("nothing was ever there", [Stretch(100)], {45: False, 75: True}),
        ],
    )
    unused = Arms("serinus", RELEASE, "chat-v2", CANARY, STABLE, weight=0)
    assert rule_groups("chat", unused, guards(telemetryLost={"action": "hold"})) == [], "at weight 0 nobody is served"


def both(canary: float, stable: float) -> list[tuple[float, Unit]]:
    """Requests of a step by arm."""
    return [(canary, GOOD), (stable, {gateway(STABLE): 1})]


def test_a_canary_that_nobody_asks_is_told_where_somebody_should(promtool: Path, tmp_path: Path) -> None:
    groups = rule_groups("chat", ARMS, guards(noTraffic={"action": "hold"}))
    reset = [Stretch(300, both(0, 10)), Stretch(60, both(0, 10), reset=True)]
    check(
        promtool,
        tmp_path,
        groups,
        alert_name("noTraffic"),
        [
            Case("none of many", [Stretch(300, both(0, 10))], {300: True}),
            Case("none of many, its series never born", [Stretch(300, both(0, 10))], {300: True}, born=frozenset(GOOD)),
            Case("none of few", [Stretch(300, both(0, 0.5))], {300: False}),
            Case(
                "one is enough",
                [Stretch(200, both(0, 10)), Stretch(STEP, both(1, 9)), Stretch(90, both(0, 10))],
                {290: False},
            ),
            Case(
                "the first ones, unseen before",
                [Stretch(320, both(0, 10)), Stretch(STEP, both(5, 9)), Stretch(40, both(0, 9))],
                {315: True, 345: False},
                born=frozenset(GOOD),
            ),
            Case("none over a reset", reset, {360: True}),
            Case("nobody asks anybody", [Stretch(300, both(0, 0))], {300: False}),
            Case("no series", [Stretch(300)], {300: False}),
        ],
    )


@pytest.mark.parametrize(
    ("weight", "canary", "told"), [(20, 4, False), (20, 7, True), (20, 0.5, True), (0, 4, True), (100, 20, False)]
)
def test_a_weight_that_is_not_the_declared_one_is_told(
    weight: int, canary: float, told: bool, promtool: Path, tmp_path: Path
) -> None:
    arms = Arms("serinus", RELEASE, "chat-v2", CANARY, STABLE, weight)
    groups = rule_groups("chat", arms, guards(weightMismatch={"action": "notify"}))
    steady = Stretch(705, both(3 * canary, 60 - 3 * canary))
    reset = Stretch(60, steady.units, reset=True)
    alert = alert_name("weightMismatch")
    check(promtool, tmp_path, groups, alert, [Case("seen", [steady, reset], {705: told, 765: told})], 3 * STEP)


def test_a_weight_is_not_told_to_be_wrong_without_requests_or_just_after_a_step(promtool: Path, tmp_path: Path) -> None:
    groups = rule_groups("chat", ARMS, guards(weightMismatch={"action": "notify"}))
    check(
        promtool,
        tmp_path,
        groups,
        alert_name("weightMismatch"),
        [
            Case("few requests", [Stretch(700, both(1, 1))], {700: False}),
            Case("no requests", [Stretch(700, both(0, 0))], {700: False}),
            Case("no series", [Stretch(700)], {700: False}),
            Case("a step up", [Stretch(400, both(1, 19)), Stretch(300, both(4, 16))], {500: False, 700: False}),
            Case(
                "the first requests, unseen before",
                [Stretch(350, both(0, 16)), Stretch(STEP, both(280, 16)), Stretch(60, both(4, 16))],
                {350: False, 400: False},
                born=frozenset(GOOD),
            ),
        ],
    )


def test_an_alert_says_what_to_do_of_which_release_and_why(promtool: Path, tmp_path: Path) -> None:
    groups = rule_groups("chat", ARMS, guards(errorRateFast={"action": "rollback"}))
    (tmp_path / "rules.json").write_text(json.dumps({"groups": groups}))
    series = Case("", [Stretch(60, [(4, {gateway(CANARY, 500): 1}), (4, GOOD)])], {}).series()
    told = {
        "eval_time": "60s",
        "alertname": "SerinusErrorRateFast",
        "exp_alerts": [
            {
                "exp_labels": {
                    "serinus_service": "chat",
                    "serinus_action": "rollback",
                    "serinus_guard": "errorRateFast",
                    "serinus_release": RELEASE,
                    "namespace": "serinus",
                    "severity": "critical",
                },
                "exp_annotations": {
                    "summary": f"canary {RELEASE}: 50% of the requests failed; the limit is 30 % over 15 s",
                    "help": "docs/alerts.md#errorratefast",
                },
            }
        ],
    }
    one = {
        "interval": f"{STEP}s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [told],
    }
    run(promtool, tmp_path, {"rule_files": ["rules.json"], "evaluation_interval": "5s", "tests": [one]})


def test_prometheus_takes_every_rule_and_each_guard_has_one(promtool: Path, tmp_path: Path) -> None:
    prices = {"action": "hold", "threshold": 1, "inputPerMillion": 1}
    groups = rule_groups("chat", ARMS, Guards.model_validate({"budget": prices}))
    named = {rule["labels"]["serinus_guard"] for group in groups for rule in group["rules"]}
    assert named == set(DEFAULTS) == set(Guards.model_fields)
    (tmp_path / "rules.json").write_text(json.dumps({"groups": groups}))
    done = subprocess.run(
        [promtool, "check", "rules", tmp_path / "rules.json"], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_guard_looks_often_when_its_window_is_short() -> None:
    fast, slow = rule_groups("chat", ARMS, Guards.model_validate({}))
    assert (fast["interval"], slow["interval"]) == ("5s", "15s")
    named = {rule["labels"]["serinus_guard"] for rule in fast["rules"]}
    assert named == {"errorRateFast", "brokenAnswersFast", "slowFast"}
