"""Shares, latencies and certainties, against exact chances and against what is known of their limits."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.report import Arm, Prices
from serinus.rollout.report_numbers import certainty, comparison, percent, quantile, seconds, share
from tests.rollout.recordings import EDGES, FAST, SLOW, arm


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_interval_of_a_share_holds_it_and_stays_between_0_and_1(whole: int, part: float) -> None:
    found = share(part * whole, whole)
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize(("whole", "true"), [(20, 0.05), (60, 0.01), (300, 0.5), (300, 0.002)])
def test_the_interval_of_a_share_covers_the_truth_about_as_often_as_it_says(whole: int, true: float) -> None:
    covered = 0.0
    for bad in range(whole + 1):
        found = share(bad, whole)
        assert found is not None
        if found.low <= true <= found.high:
            covered += math.comb(whole, bad) * true**bad * (1 - true) ** (whole - bad)
    assert covered >= 0.9  # what Wilson's interval falls to at its worst points; on average it is 0.95


def test_no_failure_of_few_requests_is_not_known_to_be_none() -> None:
    found = share(0, 20)
    assert found is not None
    assert found.value == found.low == 0
    assert found.high == pytest.approx(0.161, abs=0.001)


def test_nothing_has_no_share_no_latency_and_no_certainty() -> None:
    assert share(0, 0) is None
    assert quantile({}, 0.95) is None
    assert quantile({0.5: 0.0, math.inf: 0.0}, 0.95) is None
    assert certainty((0, 0), (1, 10)) is None


def test_a_latency_is_exact_at_an_edge_and_straight_between_two() -> None:
    buckets = {0.5: 50.0, 1.0: 95.0, 2.0: 100.0, math.inf: 100.0}
    found = [quantile(buckets, level) for level in (0.95, 0.5, 0.725)]
    assert [one.value for one in found if one] == pytest.approx([1.0, 0.5, 0.75])


def test_a_latency_beyond_the_last_edge_is_told_as_that_edge() -> None:
    found = quantile({0.5: 1.0, math.inf: 100.0}, 0.95)
    assert found is not None
    assert found.value == 0.5


def test_the_interval_of_a_latency_covers_the_truth_about_as_often_as_it_says() -> None:
    random = Random(1)  # noqa: S311 (a simulation that can be repeated)
    covered = 0
    for _ in range(400):
        taken = [random.random() for _ in range(200)]
        edges = [step / 100 for step in range(1, 101)]
        found = quantile({edge: float(sum(one <= edge for one in taken)) for edge in edges}, 0.9)
        assert found is not None
        covered += found.low <= 0.9 <= found.high
    assert covered / 400 > 0.9


@pytest.mark.parametrize(
    ("canary", "stable", "least", "most"),
    [
        ((10, 100), (100, 1000), 0.5, 0.7),
        ((50, 100), (10, 1000), 0.9999, 1.0),
        ((0, 20), (2, 2000), 0.5, 0.95),
        ((3, 20), (0, 0.5), 0.5, 0.95),
    ],
)
def test_a_difference_is_as_sure_as_its_counts_make_it(
    canary: tuple[float, float], stable: tuple[float, float], least: float, most: float
) -> None:
    found = certainty(canary, stable)
    assert found is not None
    assert least <= found <= most


def test_the_comparison_tells_both_arms_the_change_and_the_certainty() -> None:
    prices = Prices(currency="€", input_per_million=1.0, output_per_million=2.0)
    rows = {
        row.what: row
        for row in comparison(Arm.model_validate(arm(300, 30, SLOW)), Arm.model_validate(arm(5700, 57, FAST)), prices)
    }
    failed = rows["failed requests"]
    assert failed.stable.startswith("1.00 % (0.")
    assert failed.canary.startswith("10.0 % (7.")
    assert (failed.change, failed.certainty) == ("+9.00 points", "over 99.9 %")
    latency = rows["95 of 100 answered within"]
    assert latency.stable.startswith("1.00 s (")
    assert latency.canary.startswith("1.42 s (")
    assert latency.change == "+42 %"
    assert rows["cost of 1,000 requests"].canary == "0.28 €"
    assert rows["tokens written per request"].change == "none"


def test_without_prices_there_are_no_costs_and_without_requests_no_numbers() -> None:
    rows = comparison(Arm(), Arm(), Prices())
    assert "cost of 1,000 requests" not in {row.what for row in rows}
    assert {(row.stable, row.canary) for row in rows} == {("0", "0"), ("none", "none")}


@pytest.mark.parametrize(("value", "told"), [(0, "0.0 %"), (0.004, "0.40 %"), (0.25, "25.0 %"), (1, "100.0 %")])
def test_shares_are_written_with_the_digits_that_they_need(value: float, told: str) -> None:
    assert percent(value) == told


@pytest.mark.parametrize(("value", "told"), [(0.0456, "46 ms"), (1.5, "1.50 s")])
def test_times_are_written_in_their_own_unit(value: float, told: str) -> None:
    assert seconds(value) == told


def test_arms_add_up() -> None:
    one, other = (Arm.model_validate(arm(requests, 1, FAST)) for requests in (100, 50))
    both = Arm.of([one, other, Arm()])
    assert (both.requests, both.errors, both.output_tokens) == (150, 2, 18_000)
    assert both.cumulative[EDGES[0]] == pytest.approx(15)
