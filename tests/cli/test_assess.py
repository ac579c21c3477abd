"""The decision over what the engine and the cluster say: a table, and what must hold over all of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.outlook import Expected
from serinus.rollout.plan import Decision, Live, Plan, Preview
from tests.cli import plans
from tests.cli.plans import NOW, diagnostic, live, plan, policy, preview, release, status

UNREACHABLE = "the cluster can't be read: connection refused"
GONE = Live(routes={}, release=None, no_release="there is no CanaryRelease chat")
JUMP = policy("weight-ladder", "chat-canary: from 5 to 80: this skips the rung 20 (skipped-rung).")
HOLD = {"reason": "every answer failed", "by": "serinus-agent", "since": NOW.isoformat()}
BEHIND_V1 = {"backend": "chat-v1"}


@pytest.mark.parametrize(
    ("engine", "cluster", "decision", "rules"),
    [
        # The evidence decides.
        (preview(), live(5, release(status())), "go", []),
        (preview(), live(5, release(status(verdict="fail"))), "refused", ["verdict-failed"]),
        (preview(), live(5, release(status(verdict="blind"))), "refused", ["verdict-blind"]),
        (preview(), live(5, release(status(bakedSeconds=10.0))), "refused", ["bake-not-over"]),
        (preview(), live(5, release(status(hold=HOLD))), "refused", ["held"]),
        (preview(), live(5, release(None)), "refused", ["status-missing"]),
        (preview(), live(5, release({"weight": "many"})), "refused", ["status-malformed"]),
        (preview(), live(5, release(status(), host=None)), "unknown", []),
        # Want of data is not consent, but nobody has seen a canary below the first rung.
        (preview(), live(5), "unknown", []),
        (preview(0, 5), live(0), "go", []),
        (preview(None, 5), GONE, "go", []),
        (preview(None, 20), GONE, "refused", ["skipped-rung"]),
        (preview(), UNREACHABLE, "unknown", []),
        (preview(0, 5), UNREACHABLE, "unknown", []),
        (preview(5, 80), UNREACHABLE, "refused", ["skipped-rung", "not-a-rung"]),
        (preview(5, 20, config={"serinus:service": "chat"}), live(5), "unknown", []),
        (preview(5, 20, config={"serinus:service": "chat", "serinus:ladder": "[5]"}), live(5), "unknown", []),
        # A decrease, or no change, asks nobody.
        (preview(50, 0), UNREACHABLE, "go", []),
        (preview(50, 5), live(50), "go", []),
        (preview(50, 20), live(50, release(status(hold=HOLD))), "go", []),
        (preview(20, 20), live(20), "go", []),
        # What is served counts, not what the checkpoint thinks.
        (preview(20, 50), live(0), "refused", ["skipped-rung"]),
        (preview(5, 20), live(20), "go", []),
        (preview(20, 50), live(0, managers={"canary-weight": "serinus-agent"}), "refused", ["skipped-rung", "held"]),
        (preview(20, 5), live(0, managers={"canary-weight": "serinus-agent"}), "refused", ["held"]),
        (preview(5, 20), live(5, **BEHIND_V1), "refused", ["skipped-rung"]),
        (preview(5, 20), live(0, canary_by_header="x-b", canary_by_header_pattern="^0[0-4]$"), "unknown", []),
        # The engine's refusals and failures.
        (preview(5, 80, JUMP), live(5, release(status())), "refused", ["weight-ladder", "not-a-rung"]),
        (preview(5, 0, policy("image-pinned-by-digest", "no digest")), live(5), "refused", ["image-pinned-by-digest"]),
        (preview(5, 20, policy("gpu-requested", "no GPU", "advisory")), live(5, release(status())), "go", []),
        (preview(5, 0, diagnostic("the server could not be reached")), live(5), "unknown", []),
        (preview(5, 0, diagnostic("preview failed")), live(5), "go", []),
    ],
)
def test_a_change_is_decided(engine: Preview, cluster: Live | str, decision: str, rules: list[str]) -> None:
    judged = plan(engine, cluster)
    assert (judged.decision, [one.rule for one in judged.refusals]) == (decision, rules)
    assert judged.exit_code == {"go": 0, "refused": 1, "unknown": 2}[decision]
    assert bool(judged.unknowns) or decision != "unknown"


statuses = st.fixed_dictionaries(
    {},
    optional={
        "verdict": st.sampled_from(["pass", "fail", "insufficient", "blind", "great", None]),
        "hold": st.sampled_from([None, HOLD]),
        "weight": st.sampled_from([0, 5, 20]),
        "allowedWeight": st.sampled_from([0, 5, 20, 50, 100]),
        "observedGeneration": st.sampled_from([6, 7]),
    },
)


@given(statuses, st.sampled_from([0, 5, 20, 50]), st.sampled_from([0, 5, 20, 50, 100]))
def test_only_a_passing_status_lets_a_rise_go_and_nothing_stops_a_decrease(
    changes: dict[str, Any], old: int, new: int
) -> None:
    judged = plan(preview(old, new), live(old, release(status(**changes))))
    if new <= old:
        assert judged.decision is Decision.GO
    elif judged.decision is Decision.GO:
        told = status(**changes)
        assert (told.get("verdict"), told.get("hold"), told["weight"]) == (told["verdict"], None, old)
        assert told["verdict"] == "pass" or (told["verdict"] == "insufficient" and old == 0)
        assert told["allowedWeight"] >= new


def test_a_preview_that_ends_early_is_no_step() -> None:
    engine = plans.read_preview(plans.log(), "serinus")
    judged = plan(engine, live(5))
    assert judged.step is None
    assert judged.decision is Decision.UNKNOWN
    assert "before it reached" in judged.unknowns[0]


def test_the_evidence_tells_counts_age_and_bake() -> None:
    seen = plan().evidence
    assert seen is not None
    assert (seen.canary.requests, seen.stable.errors, seen.age_seconds) == (500, 19, 3.0)
    assert (seen.baked_seconds, seen.bake_seconds, seen.allowed_weight) == (1000.0, 600, 20)


def test_without_a_release_the_plan_says_what_is_missing() -> None:
    judged = plan(preview(), live(5))
    assert judged.evidence is None
    assert judged.no_evidence == "the cluster knows no CanaryReleases"
    assert judged.unknowns == ("nobody has judged the canary: the cluster knows no CanaryReleases",)


def test_an_override_waives_only_what_may_be_waived() -> None:
    override = {"by": "ada", "reason": "a broken judge", "until": "2026-11-21T13:00:00Z"}
    blind = plan(live_=live(5, release(status(verdict="blind", allowedWeight=5), override=override)))
    assert blind.decision is Decision.GO
    assert [one.rule for one in blind.waived] == ["verdict-blind"]
    assert blind.waived[0].by == "override of ada until 2026-11-21 13:00 UTC: a broken judge"
    held = plan(live_=live(5, release(status(hold=HOLD), override=override)))
    assert [one.rule for one in held.refusals] == ["held"]
    assert held.waived == ()


def test_an_override_past_its_date_puts_nothing_aside_and_says_so() -> None:
    override = {"by": "ada", "reason": "a broken judge", "until": "2026-11-21T11:00:00Z"}
    ended = plan(live_=live(5, release(status(verdict="blind"), override=override)))
    assert [one.rule for one in ended.refusals] == ["verdict-blind", "override-ended"]
    assert ended.waived == ()
    down = plan(preview(5, 0), live(5, release(status(verdict="blind"), override=override)))
    assert down.decision is Decision.GO


def test_what_the_stack_expects_is_what_a_step_is_measured_by_unless_somebody_says_otherwise() -> None:
    expected = {"requestsPerSecond": 40, "smallestRegression": 0.2}
    there = live(5, release(status(), expected=expected))
    foreseen = plan(live_=there).feasibility
    assert foreseen is not None
    assert (foreseen.per_second, foreseen.worth_seeing, foreseen.measured) == (40, 0.2, False)
    said = plan(live_=there, expected=Expected(per_second=7)).feasibility
    assert said is not None
    assert said.per_second == 7


@pytest.mark.parametrize(
    ("manager", "cause"),
    [
        ("serinus-agent", "cut by the agent"),
        ("kubectl-annotate", "by hand, with kubectl"),
        ("argocd", "by argocd"),
        ("pulumi-kubernetes-ec9d7256", "an update that the checkpoint does not know"),
    ],
)
def test_drift_names_who_caused_it(manager: str, cause: str) -> None:
    (row,) = plan(preview(20, 50), live(7, managers={"canary-weight": manager})).drift
    assert (row.ingress, row.what) == ("chat-canary", "canary-weight")
    assert (row.settings, row.checkpoint, row.live, row.cause) == ("50", "20", "7", cause)


def test_drift_shows_patterns_backends_and_what_is_gone() -> None:
    changed = live(5, backend="chat-v9", managers={"backend": "kubectl-edit"}, canary_by_header="x-b")
    assert [(row.what, row.checkpoint, row.live) for row in plan(live_=changed).drift] == [
        ("canary-by-header", "none", "x-b"),
        ("backend", "chat-v2", "chat-v9"),
    ]
    assert [(row.ingress, row.live) for row in plan(live_=GONE).drift] == [
        ("chat-canary", "gone"),
        ("chat-stable", "gone"),
    ]


def test_what_is_as_the_checkpoint_has_it_is_no_drift() -> None:
    assert plan().drift == ()


def test_feasibility_uses_what_was_counted_unless_told() -> None:
    counted = plan().feasibility
    assert counted is not None
    assert (counted.measured, counted.per_second, counted.usual) == (True, 10.0, 19 / 9500)
    told = plan(expected=Expected(per_second=40.0, usual=0.01, worth_seeing=0.1)).feasibility
    assert told is not None
    assert (told.measured, told.per_second, told.usual, told.worth_seeing) == (False, 40.0, 0.01, 0.1)
    assert (told.bake_seconds, told.warnings) == (1800, ())
    assert told.to_fail.seconds is not None
    assert told.to_fail.requests == pytest.approx(told.to_fail.seconds * 40 * 0.2, abs=1)


def test_a_bake_that_can_not_see_the_regression_is_warned_of() -> None:
    rare = plan(expected=Expected(per_second=0.1, worth_seeing=0.02)).feasibility
    assert rare is not None
    assert any("evidence-infeasible" in warning for warning in rare.warnings)


@pytest.mark.parametrize(
    ("engine", "cluster", "words"),
    [
        (preview(20, 5), live(20), "does not rise"),
        (preview(50, 100), live(50), "too few requests to compare"),
        (preview(5, 20), live(5), "--requests-per-second"),
        (plans.read_preview([], "serinus"), live(5), "no step"),
    ],
)
def test_where_feasibility_can_not_be_told_the_reason_is(engine: Preview, cluster: Live, words: str) -> None:
    judged: Plan = plan(engine, cluster)
    assert judged.feasibility is None
    assert words in judged.no_feasibility
