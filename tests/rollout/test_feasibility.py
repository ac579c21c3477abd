"""What a step can show, against what the judge then really takes."""

import math
import statistics
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.rollout.evidence import Arms, Look, Tally
from serinus.rollout.feasibility import (
    Traffic,
    check_bake,
    check_headroom,
    seconds_to_fail,
    seconds_to_pass,
    smallest_visible,
)
from serinus.rollout.judge import Charter, Objective, begin, judge, look
from serinus.rollout.verdict import Verdict

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
OBJECTIVE = Objective()
CHARTER = Charter({"errors": OBJECTIVE})

traffics = st.builds(Traffic, st.floats(0.1, 100), st.integers(1, 99), st.sampled_from([0.0, 0.001, 0.01]))


def taken(traffic: Traffic, share: float, wanted: Verdict, random: Random) -> float:
    """Let the judge look every 15 seconds until it gives the wanted verdict; return the seconds."""
    trial, at = begin(CHARTER, START), -600.0
    while at < 36_000:
        weight = traffic.weight / 100 if at >= 0 else 0.0
        totals = [0, 0]
        for _ in range(int(traffic.per_second * 15)):
            totals[random.random() < weight] += 1
        stable, canary = (
            Tally(total, sum(random.random() < bad for _ in range(total)))
            for total, bad in zip(totals, (traffic.usual, share), strict=True)
        )
        at += 15
        trial = look(CHARTER, trial, Look(15.0, {"errors": Arms(canary, stable)}), START)
        if judge(CHARTER, trial, START).verdict is wanted:
            return at
    return math.inf


@pytest.mark.parametrize(
    ("traffic", "share"),
    [(Traffic(20, 5, 0.01), 0.1), (Traffic(20, 20, 0.01), 0.05), (Traffic(5, 5, 0.01), 0.3)],
    ids=str,
)
def test_the_time_to_fail_is_what_the_judge_takes(traffic: Traffic, share: float) -> None:
    random = Random(3)  # noqa: S311 (a simulation that can be repeated)
    median = statistics.median(taken(traffic, share, Verdict.FAIL, random) for _ in range(31))
    assert seconds_to_fail(CHARTER, OBJECTIVE, traffic, share) == pytest.approx(median, rel=0.4, abs=15)


@pytest.mark.parametrize("traffic", [Traffic(20, 5, 0.01), Traffic(20, 20, 0.0), Traffic(5, 20, 0.005)], ids=str)
def test_the_time_to_pass_is_what_the_judge_takes(traffic: Traffic) -> None:
    random = Random(3)  # noqa: S311 (a simulation that can be repeated)
    median = statistics.median(taken(traffic, traffic.usual, Verdict.PASS, random) for _ in range(31))
    assert seconds_to_pass(CHARTER, OBJECTIVE, traffic) == pytest.approx(median, rel=0.4, abs=15)


@given(traffics, st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_worse_canary_is_seen_no_later(traffic: Traffic, one: float, other: float) -> None:
    better, worse = (seconds_to_fail(CHARTER, OBJECTIVE, traffic, share) for share in sorted((one, other)))
    assert worse <= better


@settings(max_examples=25)
@given(traffics, st.floats(60, 36_000))
def test_the_smallest_that_is_visible_is_visible_and_a_little_less_is_not(traffic: Traffic, seconds: float) -> None:
    least = smallest_visible(CHARTER, OBJECTIVE, traffic, seconds)
    if least is None:
        assert seconds_to_fail(CHARTER, OBJECTIVE, traffic, 1.0) > seconds
    else:
        assert seconds_to_fail(CHARTER, OBJECTIVE, traffic, least) <= seconds
        assert seconds_to_fail(CHARTER, OBJECTIVE, traffic, 0.999 * least) > seconds


@pytest.mark.parametrize("share", [0.0, 0.01, 0.015])
def test_what_is_tolerated_is_never_failed(share: float) -> None:
    assert seconds_to_fail(CHARTER, OBJECTIVE, Traffic(1000, 50, 0.01), share) == math.inf


def test_a_canary_at_the_limit_never_passes() -> None:
    assert seconds_to_pass(CHARTER, OBJECTIVE, Traffic(1000, 50, 0.05)) == math.inf


def test_no_traffic_shows_nothing() -> None:
    silent = Traffic(0.0, 5, 0.01)
    assert seconds_to_fail(CHARTER, OBJECTIVE, silent, 1.0) == math.inf
    assert smallest_visible(CHARTER, OBJECTIVE, silent, 1e9) is None


def test_a_bake_that_is_long_enough_is_accepted() -> None:
    assert check_bake(CHARTER, OBJECTIVE, Traffic(20, 5, 0.01), bake_seconds=600, worth_seeing=0.1) == []


def test_a_bake_that_sees_too_little_says_what_it_sees_and_what_it_needs() -> None:
    (found,) = check_bake(CHARTER, OBJECTIVE, Traffic(20, 5, 0.01), bake_seconds=600, worth_seeing=0.03)
    assert found.code == "evidence-infeasible"
    assert found.sentence == (
        "a bake of 600 s at 5 % of 20 requests/s can't tell 3.0% of bad requests from 1.0%: it sees 3.9% at the least"
    )
    longer = int(found.remedy.split()[2])
    assert check_bake(CHARTER, OBJECTIVE, Traffic(20, 5, 0.01), bake_seconds=longer, worth_seeing=0.03) == []


def test_a_bake_that_sees_nothing_at_all_says_so() -> None:
    found = check_bake(CHARTER, OBJECTIVE, Traffic(0.01, 5, 0.01), bake_seconds=600, worth_seeing=0.01)
    assert [violation.code for violation in found] == ["evidence-infeasible", "pass-infeasible"]
    assert "it sees nothing" in found[0].sentence
    assert "longer than any time" in found[0].remedy


@pytest.mark.parametrize(
    ("weight", "canary", "stable", "codes"),
    [
        (20, 2.0, 10.0, []),
        (20, 1.9, 10.0, ["canary-overloaded"]),
        (20, 2.0, 9.9, ["no-way-back"]),
        (50, 2.0, 5.0, ["canary-overloaded", "no-way-back"]),
        (0, 0.0, 10.0, []),
    ],
)
def test_the_canary_carries_its_share_and_the_stable_a_rollback(
    weight: int, canary: float, stable: float, codes: list[str]
) -> None:
    assert [violation.code for violation in check_headroom(weight, 10.0, canary, stable)] == codes
