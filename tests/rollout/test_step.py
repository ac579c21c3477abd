"""A step of the weight against all rules, and the weight that the agent allows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.budget import Budget
from serinus.rollout.hold import Override, waive
from serinus.rollout.ladder import Ladder
from serinus.rollout.rules import CAP_RULES, LADDER_RULES, STATUS_RULES, WAIVABLE
from serinus.rollout.status import Status, read_status
from serinus.rollout.step import Declared, Freshness, allowed_weight, check_step, conclude
from serinus.rollout.verdict import Verdict
from serinus.rollout.violation import Violation
from tests.rollout.step_cases import APPROVAL, CASES, HOLD, LADDER, NOW, PASSING, TOP, Case

now = datetime.fromisoformat(NOW)
declared = Declared("chat", "v2-0f3a9c21", Ladder.model_validate(LADDER), generation=7)

weights = st.integers(0, 100)
statuses = st.one_of(
    st.none(),
    st.just({"weight": "many"}),
    st.fixed_dictionaries(
        {},
        optional={
            "weight": weights,
            "allowedWeight": weights,
            "verdict": st.sampled_from(Verdict),
            "hold": st.just(HOLD),
            "approvals": st.lists(weights.filter(bool).map(lambda weight: {**APPROVAL, "weight": weight})),
            "bakedSeconds": st.floats(0, 3000),
            "observedAt": st.datetimes(datetime(2026, 11, 21, 11), datetime(2026, 11, 21, 13), timezones=st.just(UTC)),
            "observedGeneration": st.integers(6, 8),
            "canary": st.sampled_from(["v2-0f3a9c21", "v1-00000000", ""]),
        },
    ).map(lambda changes: {**PASSING, **changes}),
)


def passing(**changes: Any) -> Status:
    status = read_status({**PASSING, **changes})
    assert isinstance(status, Status), status
    return status


def codes(violations: list[Violation]) -> list[str]:
    return [violation.code for violation in violations]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_rules_say_of_each_step(case: Case) -> None:
    found = check_step(declared, read_status(case.document()), case.old, case.new, now)
    assert codes(found) == case.codes
    assert all("{" not in violation.sentence and violation.remedy for violation in found)


def test_every_rule_has_a_case_that_it_alone_refuses() -> None:
    alone = {case.codes[0] for case in CASES if len(case.codes) == 1}
    assert {rule.code for rule in (*LADDER_RULES, *STATUS_RULES, *CAP_RULES)} <= alone


def test_refusals_carry_the_values() -> None:
    found = check_step(declared, passing(verdict="fail", because="E is 140", hold=HOLD, bakedSeconds=17), 5, 20, now)
    assert [violation.sentence for violation in found] == [
        "the release is held: every answer failed",
        "the canary failed: E is 140",
        "the step at 5 has baked 17.0 s of its 600 s",
    ]


@given(statuses, st.one_of(st.none(), weights), weights)
def test_a_decrease_is_always_allowed(document: dict[str, Any] | None, old: int | None, new: int) -> None:
    if new <= (old or 0):
        assert check_step(declared, read_status(document), old, new, now) == []


@given(statuses, weights, weights)
def test_a_rise_that_passes_is_fresh_judged_baked_and_to_the_next_rung(
    document: dict[str, Any] | None, old: int, new: int
) -> None:
    status = read_status(document)
    if new > old and check_step(declared, status, old, new, now) == []:
        upper = declared.ladder.next_rung(old)
        assert isinstance(status, Status)
        assert upper is not None
        assert (new, status.weight, status.canary) == (upper.weight, old, declared.canary)
        assert new <= status.allowed_weight
        assert status.hold is None
        assert status.verdict is Verdict.PASS or (old == 0 and status.verdict is Verdict.INSUFFICIENT)
        assert timedelta(seconds=-5) <= now - status.observed_at <= timedelta(seconds=30)
        assert new < 100 or 100 in {approval.weight for approval in status.approvals}


def test_any_walk_up_the_ladder_with_passing_status_passes() -> None:
    seen = [0, *declared.ladder.weights]
    for old, new in pairwise(seen):
        verdict = "pass" if old else "insufficient"
        observed = passing(weight=old, verdict=verdict, bakedSeconds=3600, approvals=[APPROVAL])
        status = conclude(observed, allowed_weight(declared, observed, now))
        assert (status.allowed_weight, status.reasons) == (new, ())
        assert check_step(declared, status, old, new, now) == []


@given(statuses, weights)
def test_what_the_agent_allows_every_reader_allows_and_nothing_above(document: dict[str, Any] | None, new: int) -> None:
    observed = read_status(document)
    if isinstance(observed, Status):
        status = conclude(observed, allowed_weight(declared, observed, now))
        rises = new > status.weight
        passes = check_step(declared, status, status.weight, new, now) == []
        assert passes == (not rises or (new <= status.allowed_weight and new in declared.ladder.weights))


@pytest.mark.parametrize(
    ("changes", "allowed", "reason"),
    [
        ({}, 20, []),
        ({"bakedSeconds": 0}, 5, ["bake-not-over"]),
        ({"verdict": "blind"}, 5, ["verdict-blind"]),
        ({"verdict": "fail"}, 0, ["verdict-failed"]),
        ({"hold": HOLD}, 0, ["held"]),
        (TOP, 50, ["approval-missing"]),
        ({"weight": 100}, 100, []),
        ({"weight": 100, "verdict": "fail"}, 0, []),
        ({"weight": 0, "verdict": "insufficient"}, 5, []),
        ({"observedAt": "2026-11-21T11:58:00Z"}, 5, ["status-stale"]),
    ],
)
def test_the_agent_allows_the_next_rung_or_says_why_not(
    changes: dict[str, Any], allowed: int, reason: list[str]
) -> None:
    allowance = allowed_weight(declared, passing(**changes), now)
    assert (allowance.weight, codes(allowance.refused)) == (allowed, reason)


SPENT = {"at": "2026-11-21T11:59:40Z", "perDay": 10, "spent": 12, "perHour": 1}
costly = replace(declared, budget=Budget(per_day=10, output_per_million=1))


def test_an_objection_from_beyond_the_rules_keeps_the_weight_where_it_is() -> None:
    allowance = allowed_weight(costly, passing(budget=SPENT), now)
    assert allowance.weight == 5
    assert conclude(passing(), allowance).reasons == ("the canary has cost 12.00 today, the budget is 10.00",)


def test_an_objection_is_not_made_to_a_weight_that_cannot_rise() -> None:
    assert allowed_weight(costly, passing(weight=100, budget=SPENT), now) == (100, [])


def test_a_longer_patience_accepts_an_older_status() -> None:
    status = passing(observedAt="2026-11-21T11:58:00Z")
    assert check_step(declared, status, 5, 20, now, Freshness(most_age_seconds=120)) == []
    assert codes(check_step(declared, status, 5, 20, now, Freshness(most_age_seconds=119))) == ["status-stale"]


def test_an_approval_is_asked_for_the_rise_to_its_rung_and_not_for_the_next() -> None:
    rungs = [{"weight": 5}, {"weight": 20, "approval": True}, {"weight": 100}]
    early = replace(declared, ladder=Ladder.model_validate({"rungs": rungs}))
    assert codes(check_step(early, passing(), 5, 20, now)) == ["approval-missing"]
    assert check_step(early, passing(weight=20, allowedWeight=100), 20, 100, now) == []


def test_a_ladder_without_bakes_and_approvals_needs_none() -> None:
    plain = replace(declared, ladder=Ladder.of([5, 20, 50, 100]))
    assert check_step(plain, passing(**{**TOP, "bakedSeconds": 0}), 50, 100, now) == []


def test_a_status_survives_its_document() -> None:
    status = passing(hold=HOLD, approvals=[APPROVAL])
    assert read_status(status.document()) == status


@pytest.mark.parametrize("document", [[], "", None, {}])
def test_an_empty_status_is_missing(document: object) -> None:
    assert isinstance(found := read_status(document), Violation)
    assert found.code == "status-missing"


@pytest.mark.parametrize("document", [["weight"], "weight: 5", 7])
def test_a_status_that_is_no_mapping_is_malformed(document: object) -> None:
    assert isinstance(found := read_status(document), Violation)
    assert found.code == "status-malformed"
    assert repr(document) in found.sentence


def test_a_malformed_status_names_key_value_and_what_is_allowed() -> None:
    found = read_status({**PASSING, "weight": 300})
    assert isinstance(found, Violation)
    assert "weight: 300" in found.sentence
    assert "an integer from 0 to 100" in found.sentence


def override(until: datetime) -> Override:
    return Override(by="ada", reason="a fix that can't wait", until=until)


tomorrow = now + timedelta(days=1)


def test_an_override_waives_what_may_be_waived_and_says_what() -> None:
    found = check_step(declared, passing(verdict="insufficient", hold=HOLD), 5, 50, now)
    remaining, waived = waive(found, override(tomorrow), now)
    assert codes(remaining) == ["held"]
    assert codes(waived) == ["skipped-rung", "verdict-insufficient"]


def test_an_override_lets_the_agent_allow_the_top_but_for_the_approval() -> None:
    observed = passing(bakedSeconds=0)
    assert allowed_weight(declared, observed, now, override(tomorrow)) == (50, [])
    approved = passing(bakedSeconds=0, approvals=[APPROVAL])
    assert allowed_weight(declared, approved, now, override(tomorrow)) == (100, [])


def test_an_override_waives_no_failure_no_hold_no_approval_and_no_doubt_about_the_status() -> None:
    assert {
        "skipped-rung",
        "verdict-missing",
        "verdict-insufficient",
        "verdict-blind",
        "bake-not-over",
        "above-allowed-weight",
    } == WAIVABLE


@pytest.mark.parametrize("seconds", [0, -1])
def test_an_override_past_its_end_waives_nothing_and_says_so(seconds: int) -> None:
    found = check_step(declared, passing(verdict="blind"), 5, 20, now)
    remaining, waived = waive(found, override(now + timedelta(seconds=seconds)), now)
    assert codes(remaining) == ["verdict-blind", "override-ended"]
    assert waived == []


def test_an_override_past_its_end_does_not_stop_a_step_that_needs_none() -> None:
    assert waive([], override(now - timedelta(days=1)), now) == ([], [])


def test_without_an_override_everything_remains() -> None:
    found = check_step(declared, passing(verdict="blind"), 5, 20, now)
    assert waive(found, None, now) == (found, [])


@pytest.mark.parametrize("missing", [{"reason": " "}, {"by": ""}, {"until": "2026-11-22T12:00:00"}])
def test_an_override_without_reason_name_or_end_is_refused(missing: dict[str, str]) -> None:
    document = {"by": "ada", "reason": "a fix", "until": "2026-11-22T12:00:00Z"}
    assert Override.model_validate(document).by == "ada"
    with pytest.raises(ValueError, match=next(iter(missing))):
        Override.model_validate({**document, **missing})
