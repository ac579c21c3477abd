"""Every bet is fair: summed over all outcomes, no hypothesis lets it gain on average. And it gains where it should."""

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.evidence import Tally
from serinus.rollout.wealth import bounded_gains, grown, mean, ratio_gains, share_gains

Gains = Callable[[Tally, Tally], Sequence[float]]

some = st.integers(0, 12)
shares = st.floats(0.001, 0.999)
tolerances = st.sampled_from([1.0, 1.5, 3.0])


def chance(total: int, bad: int, share: float) -> float:
    return math.comb(total, bad) * share**bad * (1 - share) ** (total - bad)


def expected(gains: Gains, canary: int, stable: int, canary_share: float, stable_share: float) -> list[float]:
    """The exact expectation of each factor, by enumeration of all outcomes of both arms."""
    factors = [
        [
            chance(canary, bad, canary_share) * chance(stable, worse, stable_share) * math.exp(gain)
            for gain in gains(Tally(canary, bad), Tally(stable, worse))
        ]
        for bad in range(canary + 1)
        for worse in range(stable + 1)
    ]
    return [math.fsum(column) for column in zip(*factors, strict=True)]


def fair(factors: Sequence[float]) -> bool:
    return all(factor <= 1 + 1e-9 for factor in factors)


@given(some, some, tolerances, shares, st.floats(0, 1))
def test_the_ratio_bet_is_fair_against_any_canary_within_the_tolerance(
    canary: int, stable: int, tolerance: float, stable_share: float, part: float
) -> None:
    canary_share = min(part * tolerance * stable_share, 1.0)
    assert fair(expected(lambda c, s: ratio_gains(c, s, tolerance), canary, stable, canary_share, stable_share))


@given(st.integers(0, 30), st.floats(0.01, 0.5), st.floats(0, 1))
def test_the_bet_over_a_bound_is_fair_against_any_share_up_to_it(canary: int, bound: float, part: float) -> None:
    def gains(tally: Tally, _: Tally) -> Sequence[float]:
        return share_gains(tally, bound, [1.2 * bound, 1.9 * bound])

    assert fair(expected(gains, canary, 0, part * bound, 0.5))


@given(st.integers(0, 30), st.floats(0.01, 0.5), st.floats(0, 1))
def test_the_bet_below_a_bound_is_fair_against_any_share_from_it(canary: int, bound: float, part: float) -> None:
    def gains(tally: Tally, _: Tally) -> Sequence[float]:
        return share_gains(tally, bound, [0.01 * bound, 0.6 * bound])

    assert fair(expected(gains, canary, 0, bound + part * (1 - bound), 0.5))


@given(st.integers(0, 30), st.floats(0.01, 0.5), st.floats(0, 1))
def test_the_bounded_bet_is_fair_even_if_all_requests_of_a_look_end_alike(
    canary: int, bound: float, part: float
) -> None:
    share = part * bound
    all_bad, all_good = (bounded_gains(Tally(canary, bad), bound, 4) for bad in (canary, 0))
    assert fair([share * math.exp(b) + (1 - share) * math.exp(g) for b, g in zip(all_bad, all_good, strict=True)])
    assert fair(expected(lambda c, s: bounded_gains(c, bound, 4), canary, 0, share, 0.5))


def test_a_look_without_one_of_the_arms_says_nothing_of_the_ratio() -> None:
    for canary, stable in ((Tally(), Tally(9, 3)), (Tally(9, 3), Tally()), (Tally(), Tally())):
        gains = ratio_gains(canary, stable, 1.5)
        assert gains == pytest.approx([0.0] * len(gains))


def test_a_look_without_requests_says_nothing_of_a_share() -> None:
    assert list(share_gains(Tally(), 0.05, [0.1])) == [0.0]
    assert bounded_gains(Tally(), 0.05, 3) == [0.0, 0.0, 0.0]


def test_fresh_money_pays_for_no_past() -> None:
    ruined = grown((1.0,), 0.0, [-500.0])
    assert mean(ruined) < 1e-200
    assert grown(ruined, 0.5, [math.log(4.0)]) == pytest.approx((2.0,))


def test_wealth_is_bounded_instead_of_overflowing() -> None:
    wealth = (1.0,)
    for _ in range(9):
        wealth = grown(wealth, 0.0, [5000.0])
    assert 1e100 < mean(wealth) < math.inf


def test_the_bets_of_a_mixture_share_one_stake() -> None:
    assert mean((4.0, 0.0)) == 2.0
