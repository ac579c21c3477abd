"""The day's budget: spent, about to be spent, or enough."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.budget import Price, Spending, check_budget, forecast

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
money = st.floats(0, 1e6)
weights = st.integers(0, 100)


def test_tokens_cost_by_the_million() -> None:
    assert Price(0.5, 2.0).of(3_000_000, 250_000) == 2.0


def test_the_forecast_goes_on_as_recently() -> None:
    assert forecast(Spending(today=10.0, recent=1.0, recent_seconds=3600), NOON) == 22.0
    assert forecast(Spending(today=10.0, recent=1.0, recent_seconds=3600), NOON, growth=4.0) == 58.0


def test_without_a_recent_past_the_forecast_is_what_was_spent() -> None:
    assert forecast(Spending(10.0, 0.0, 0.0), NOON) == 10.0


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/Los_Angeles"])
def test_the_day_ends_at_midnight_in_utc_wherever_the_caller_is(zone: str) -> None:
    assert forecast(Spending(0.0, 1.0, 3600), NOON.astimezone(ZoneInfo(zone))) == 12


@pytest.mark.parametrize(
    ("today", "old", "new", "codes"),
    [
        (0.0, 5, 20, []),
        (51.99, 5, 20, []),
        (52.01, 5, 20, ["budget-too-small"]),
        (85.5, 5, 6, []),
        (85.7, 5, 6, ["budget-too-small"]),
        (99.99, 0, 5, ["budget-too-small"]),
        (50.0, 0, 5, []),
        (100.0, 5, 20, ["budget-spent"]),
        (100.0, 20, 20, []),
        (500.0, 20, 5, []),
    ],
)
def test_a_rise_must_fit_into_the_day(today: float, old: int, new: int, codes: list[str]) -> None:
    found = check_budget(100.0, Spending(today, recent=1.0, recent_seconds=3600), NOON, old, new)
    assert [violation.code for violation in found] == codes


@given(money, money, money, st.floats(0, 86400), weights, weights)
def test_a_decrease_is_always_allowed(
    limit: float, today: float, recent: float, seconds: float, one: int, other: int
) -> None:
    spending = Spending(today, recent, seconds)
    assert check_budget(limit, spending, NOON + timedelta(hours=3), max(one, other), min(one, other)) == []


@given(money, money, money, weights, weights)
def test_what_fits_into_a_budget_fits_into_a_larger_one(
    limit: float, today: float, recent: float, old: int, new: int
) -> None:
    spending = Spending(today, recent, 3600.0)
    if check_budget(limit, spending, NOON, old, new) == []:
        assert check_budget(2.0 * limit + 1.0, spending, NOON, old, new) == []
