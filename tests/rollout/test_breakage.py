"""The bet on an outright break: fair whatever the canary does within the tolerance, free while it is healthy, fast."""

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.breakage import BLOCK_SECONDS, BROKEN, LONGEST_SECONDS, Breakage, Terms, log_factor
from serinus.rollout.evidence import Arms, Tally

TERMS = Terms(usual=0.01, tolerance=1.5, bound=0.01)
ALONE = Terms(usual=0.01, tolerance=None, bound=0.05)
MONEY = Breakage(wealth=1.0)

few = st.integers(0, 7)
shares = st.floats(0.001, 0.999)
tolerances = st.sampled_from([1.0, 1.5, 3.0])


def chance(tally: Tally, share: float) -> float:
    return math.comb(int(tally.total), int(tally.bad)) * share**tally.bad * (1 - share) ** (tally.total - tally.bad)


def outcomes(canary: int, stable: int) -> Iterator[Arms]:
    for bad in range(canary + 1):
        for worse in range(stable + 1):
            yield Arms(Tally(canary, bad), Tally(stable, worse))


def arms(canary: tuple[int, int], stable: tuple[int, int]) -> Arms:
    return Arms(Tally(*canary), Tally(*stable))


def staked(breakage: Breakage) -> float | None:
    return breakage.block.staked if breakage.block else None


def expected(canary: int, stable: int, shares_of_both: tuple[float, float], terms: Terms) -> float:
    """The exact expectation of the wealth after two looks, each with so many requests, out of a wealth of 1."""
    likely = [
        (one, math.prod(map(chance, one, shares_of_both)), MONEY.after(one, 1.0, terms, 0.0))
        for one in outcomes(canary, stable)
    ]
    return math.fsum(
        chance_of_first * chance_of_second * first.after(second, 1.0, terms, 0.0).wealth
        for _, chance_of_first, first in likely
        for second, chance_of_second, _ in likely
    )


@given(st.integers(0, 4), st.integers(0, 4), tolerances, shares, st.floats(0, 1), st.floats(0.001, 0.5))
def test_the_bet_is_fair_against_any_canary_within_the_tolerance(
    canary: int, stable: int, tolerance: float, stable_share: float, part: float, usual: float
) -> None:
    canary_share = min(part * tolerance * stable_share, 1.0)
    assert expected(canary, stable, (canary_share, stable_share), Terms(usual, tolerance, 0.01)) <= 1 + 1e-9


@given(st.integers(0, 4), st.integers(0, 4), st.floats(0.001, 0.5), st.floats(0, 1), shares)
def test_the_bet_is_fair_against_any_canary_under_the_bound(
    canary: int, stable: int, bound: float, part: float, stable_share: float
) -> None:
    assert expected(canary, stable, (part * bound, stable_share), Terms(0.01, 1.0, bound)) <= 1 + 1e-9
    assert expected(canary, stable, (part * bound, stable_share), Terms(0.01, None, bound)) <= 1 + 1e-9


@given(few, few, tolerances, st.data())
def test_the_bet_divides_by_the_greatest_likelihood_there_is(
    canary: int, stable: int, tolerance: float, data: st.DataObject
) -> None:
    block = arms((canary, data.draw(st.integers(0, canary))), (stable, data.draw(st.integers(0, stable))))
    stable_share = data.draw(shares)
    canary_share = data.draw(st.floats(0, min(tolerance * stable_share, 1.0)))
    likelihood = chance(block.canary, canary_share) * chance(block.stable, stable_share)
    alternative = chance(block.canary, BROKEN) * chance(block.stable, 0.01)
    assert likelihood * math.exp(log_factor(block, Terms(0.01, tolerance, 0.01))) <= alternative * (1 + 1e-6)


def test_health_costs_nothing() -> None:
    assert MONEY.after(arms((500, 0), (2000, 20)), 3600.0, TERMS, 0.25) == MONEY


def test_fresh_money_comes_with_the_block() -> None:
    alone = Breakage().after(arms((3, 3), (12, 0)), 1.0, TERMS, 0.5)
    assert staked(alone) == 0.5
    assert staked(MONEY.after(arms((3, 3), (12, 0)), 1.0, TERMS, 0.5)) == 1.5
    assert staked(alone.after(arms((3, 3), (12, 0)), 1.0, TERMS, 0.5)) == 0.5


def test_the_first_bad_answer_is_not_paid_for() -> None:
    assert MONEY.after(arms((1, 1), (0, 0)), 1.0, TERMS, 0.0).wealth == pytest.approx(BROKEN)


@pytest.mark.parametrize("terms", [TERMS, ALONE])
def test_a_break_is_found_in_few_answers(terms: Terms) -> None:
    broken = MONEY.after(arms((2, 2), (8, 0)), 1.0, terms, 0.0).after(arms((3, 3), (8, 0)), 1.0, terms, 0.0)
    assert broken.wealth > 1000


def test_it_does_not_matter_how_answers_fall_into_looks() -> None:
    together = MONEY.after(arms((4, 4), (8, 1)), 2.0, TERMS, 0.0)
    apart = MONEY.after(arms((1, 1), (0, 0)), 1.0, TERMS, 0.0).after(arms((3, 3), (8, 1)), 1.0, TERMS, 0.0)
    assert apart.wealth == pytest.approx(together.wealth)


def test_a_block_that_loses_is_over_after_seconds_and_keeps_what_is_left() -> None:
    losing = MONEY.after(arms((5, 1), (20, 0)), 1.0, TERMS, 0.0)
    assert staked(losing) == 1.0
    over = losing.after(arms((0, 0), (1, 0)), BLOCK_SECONDS, TERMS, 0.0)
    assert over == Breakage(wealth=over.wealth)
    assert 0.0 < over.wealth < 0.01


def test_a_block_that_wins_goes_on_but_not_for_ever() -> None:
    winning = MONEY.after(arms((3, 3), (9, 0)), BLOCK_SECONDS, TERMS, 0.0)
    assert staked(winning) == 1.0
    over = winning.after(arms((1, 1), (3, 0)), LONGEST_SECONDS, TERMS, 0.0)
    assert over == Breakage(wealth=over.wealth)
    assert over.wealth > winning.wealth


def test_a_block_keeps_the_terms_that_it_began_with() -> None:
    begun = MONEY.after(arms((2, 2), (8, 0)), 1.0, TERMS, 0.0)
    assert begun.after(arms((1, 1), (0, 0)), 1.0, ALONE, 0.0) == begun.after(arms((1, 1), (0, 0)), 1.0, TERMS, 0.0)


def test_an_outage_of_both_arms_is_not_the_canarys() -> None:
    assert MONEY.after(arms((20, 20), (80, 80)), 1.0, TERMS, 0.0).wealth < 1


def test_wealth_is_bounded_instead_of_overflowing() -> None:
    assert MONEY.after(arms((5000, 5000), (5000, 0)), 1.0, TERMS, 0.0).wealth < math.inf
