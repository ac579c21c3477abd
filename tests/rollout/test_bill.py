"""The bill of the day: what is known of it, what follows from it, and what is no news."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.alert_queries import tokens_by_type
from serinus.rollout.bill import Bill, Paid, asked, check_bill, read_tokens, reckon, windows
from serinus.rollout.budget import Budget, Spending
from serinus.rollout.demand import Action
from tests.rollout.promtool import run

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BUDGET = Budget(per_day=100.0, output_per_million=2.0)
money = st.floats(0, 1e9)


def paid(today: float, recent: float = 0.5, seconds: float = 60, at: datetime = NOON) -> Paid:
    return Paid("v2", Spending(today, recent, seconds), at, at)


def test_it_says_what_was_spent_and_how_the_day_ends() -> None:
    bill = reckon(BUDGET, paid(10.0), None, NOON, weight=5, upper=20)
    assert (bill.spent, bill.per_hour, bill.forecast, bill.forecast_at_next) == (10.0, 30.0, 370.0, 1450.0)
    at_the_top = reckon(BUDGET, paid(10.0), None, NOON, weight=100, upper=None)
    assert (at_the_top.forecast, at_the_top.forecast_at_next) == (370.0, None)


def test_what_is_not_counted_now_keeps_what_was_known() -> None:
    before = reckon(BUDGET, paid(10.0), None, NOON, 5, 20)
    bill = reckon(BUDGET, None, before, NOON + timedelta(hours=1), 5, 20)
    assert (bill.spent, bill.per_hour, bill.forecast, bill.at) == (10.0, None, None, NOON)
    assert reckon(BUDGET, None, None, NOON, 5, 20).spent is None


@pytest.mark.parametrize(("known", "counted", "spent"), [(10.0, 3.0, 10.0), (3.0, 10.0, 10.0)])
def test_a_prometheus_that_has_forgotten_the_morning_gives_no_money_back(
    known: float, counted: float, spent: float
) -> None:
    before = reckon(BUDGET, paid(known), None, NOON, 5, 20)
    assert reckon(BUDGET, paid(counted), before, NOON, 5, 20).spent == spent


def test_midnight_in_utc_begins_a_new_bill() -> None:
    before = reckon(BUDGET, paid(120.0), None, NOON, 5, 20).model_copy(update={"acted": True})
    night = datetime(2026, 11, 22, 0, 0, 10, tzinfo=UTC)
    bill = reckon(BUDGET, paid(120.0, at=night - timedelta(seconds=20)), before, night, 5, 20)
    assert (bill.spent, bill.acted) == (None, False)
    assert reckon(BUDGET, paid(0.1, at=night), bill, night, 5, 20).spent == 0.1


def test_a_larger_budget_is_another_one() -> None:
    before = reckon(BUDGET, paid(120.0), None, NOON, 5, 20).model_copy(update={"acted": True})
    assert asked(BUDGET, before) is None
    larger = BUDGET.model_copy(update={"per_day": 110.0})
    assert asked(larger, reckon(larger, None, before, NOON, 5, 20)) is Action.HOLD


@pytest.mark.parametrize(
    ("now", "since", "looked_back"),
    [
        (NOON, NOON - timedelta(hours=3), (43200, 600)),
        (NOON, NOON - timedelta(seconds=200), (43200, 200)),
        (NOON, NOON, (43200, 60)),
        (datetime(2026, 11, 21, 0, 0, 5, tzinfo=UTC), NOON, (60, 60)),
    ],
)
def test_the_rate_is_that_of_the_step(now: datetime, since: datetime, looked_back: tuple[int, int]) -> None:
    assert windows(now, since) == looked_back


def row(kind: Any, value: Any) -> dict[str, Any]:
    return {"metric": {"type": kind}, "value": [0, value]}


def test_tokens_are_read_by_their_direction() -> None:
    assert read_tokens([row("input", "3"), row("output", "4.5")]) == {"input": 3.0, "output": 4.5}


@pytest.mark.parametrize(
    "rows",
    [
        None,
        [],
        "NaN",
        [row("input", "3")],
        [row("input", "3"), row("output", "NaN")],
        [row("input", "3"), row("output", "-1")],
        [row("input", "+Inf"), row("output", "1")],
        [row("input", "3"), row("output", "1e300")],
        [row("input", "3"), row("output", None)],
        [row("input", "3"), row("output", "x")],
        [row("input", "3"), {}],
        [row("input", "3"), 7],
        [row("input", "3"), {"metric": {"type": "output"}, "value": []}],
    ],
)
def test_half_a_count_or_garbage_is_no_count(rows: object) -> None:
    assert read_tokens(rows) is None


@pytest.mark.parametrize(
    ("bill", "old", "new", "codes"),
    [
        ({"spent": 10, "perHour": 1}, 5, 20, []),
        ({"spent": 60, "perHour": 1}, 5, 20, ["budget-too-small"]),
        ({"spent": 60, "perHour": 1}, 5, 10, []),
        ({"spent": 60, "perHour": 1}, 20, 5, []),
        ({"spent": 100, "perHour": 1}, 5, 20, ["budget-spent"]),
        ({"spent": 100}, 5, 20, ["budget-spent"]),
        ({"spent": 10}, 5, 20, ["budget-unknown"]),
        ({"spent": 10}, 20, 20, []),
        ({}, 0, 5, ["budget-unknown"]),
        ({"spent": 0, "perHour": 0}, 0, 5, []),
        (None, 0, 5, ["budget-unknown"]),
        (None, 5, 0, []),
    ],
)
def test_a_rise_must_be_known_to_fit_into_the_day(
    bill: dict[str, Any] | None, old: int, new: int, codes: list[str]
) -> None:
    found = None if bill is None else Bill.model_validate({"at": NOON.isoformat(), "perDay": 100, **bill})
    assert [one.code for one in check_bill(BUDGET, found, old, new)] == codes
    assert check_bill(None, found, old, new) == []


@given(money, money, st.floats(60, 600), st.integers(0, 86399), st.integers(1, 99))
def test_a_bill_is_a_status_and_grows_with_the_share(
    today: float, recent: float, seconds: float, second: int, weight: int
) -> None:
    now = NOON.replace(hour=0) + timedelta(seconds=second)
    bill = reckon(BUDGET, paid(today, recent, seconds, now), None, now, weight, weight + 1)
    assert Bill.model_validate(bill.document()) == bill
    assert bill.spent is not None
    assert bill.forecast is not None
    assert bill.forecast_at_next is not None
    assert bill.spent <= bill.forecast <= bill.forecast_at_next + 1e-4
    assert math.isfinite(bill.forecast_at_next)
    assert check_bill(BUDGET, bill, weight + 1, weight) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"perDay": 5}, "a price above 0"), ({"perDay": 0, "inputPerMillion": 1}, "greater than or equal to 0.01")],
)
def test_a_budget_without_a_limit_or_a_price_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Budget.model_validate(wrong)


def test_the_question_counts_restarts_births_and_only_what_is_seen_now(promtool: Path, tmp_path: Path) -> None:
    def series(pod: str, kind: str, values: str, release: str = "v2") -> dict[str, str]:
        labels = f'namespace="llm",release="{release}",instance="{pod}",job="pods",type="{kind}"'
        return {"series": f"llm_tokens_total{{{labels}}}", "values": values}

    given = [
        {"series": 'up{instance="a",job="pods"}', "values": "1x60"},
        {"series": 'up{instance="b",job="pods"}', "values": "1x60"},
        series("a", "input", "0+10x60"),
        # It began anew in the middle.
        series("a", "output", "0+5x30 0+5x29"),
        # It was born at 40, and there was nothing of it before.
        series("b", "output", "_x50 40x10"),
        series("a", "input", "0+1000x60", release="v1"),
        # Nobody sees this one any more.
        series("c", "input", "0+10x20 stale", release="v3"),
        series("c", "output", "0+10x20 stale", release="v3"),
    ]

    def asking(release: str, samples: list[tuple[str, float]]) -> dict[str, Any]:
        told = [{"labels": f'{{type="{kind}"}}', "value": value} for kind, value in samples]
        return {"expr": tokens_by_type("llm", release, 300), "eval_time": "300s", "exp_samples": told}

    seen = [asking("v2", [("input", 600), ("output", 335)]), asking("v3", []), asking("v4", [])]
    run(promtool, tmp_path, {"tests": [{"interval": "5s", "input_series": given, "promql_expr_test": seen}]})
