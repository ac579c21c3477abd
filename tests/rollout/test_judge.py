"""The four verdicts, and the promises about them, over simulated hours."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from pydantic import TypeAdapter

from serinus.rollout.evidence import Arms, Look, Tally
from serinus.rollout.judge import Charter, Objective, Trial, begin, begin_step, judge, look
from serinus.rollout.verdict import Verdict

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
ONE = Charter({"errors": Objective()})
TWO = Charter({"errors": Objective(), "slow": Objective(tolerance=1.0, floor=0.05, limit=0.1)})


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def arms(canary: tuple[int, int], stable: tuple[int, int]) -> Look:
    return Look(1.0, {"errors": Arms(Tally(*canary), Tally(*stable))})


def watched(charter: Charter = ONE, seconds: int = 600) -> Trial:
    """A trial whose stable was watched for a while, at 8 requests a second, before the canary got any."""
    trial = begin(charter, START)
    for second in range(seconds):
        trial = look(charter, trial, arms((0, 0), (8, second % 25 == 0)), at(second - seconds))
    return begin_step(trial)


def judged(trial: Trial, looks: list[Look], charter: Charter = ONE) -> tuple[Trial, Verdict]:
    for second, new in enumerate(looks):
        trial = look(charter, trial, new, at(second))
    return trial, judge(charter, trial, at(len(looks))).verdict


def looks_until_failed(trial: Trial, new: Look, charter: Charter = ONE, most: int = 10_000) -> int:
    for count in range(1, most):
        trial = look(charter, trial, new, at(count))
        if trial.failed:
            return count
    return most


def test_without_requests_the_evidence_is_insufficient() -> None:
    _, verdict = judged(watched(), [arms((0, 0), (8, 0))])
    assert verdict is Verdict.INSUFFICIENT


def test_a_healthy_canary_passes_after_about_a_hundred_requests() -> None:
    healthy = arms((2, 0), (8, 0))
    assert judged(watched(), [healthy] * 45)[1] is Verdict.INSUFFICIENT
    assert judged(watched(), [healthy] * 60)[1] is Verdict.PASS


def test_a_canary_at_the_limit_does_not_pass() -> None:
    at_the_limit = [arms((20, 1), (80, 4))] * 100
    assert judged(watched(), at_the_limit)[1] is Verdict.INSUFFICIENT


def test_a_canary_below_the_limit_that_looks_worse_than_the_stable_does_not_pass() -> None:
    trial, suspected = watched(), False
    for second in range(3000):
        trial = look(ONE, trial, arms((2, second % 14 == 0), (8, second % 25 == 0)), at(second))
        found = judge(ONE, trial, at(second))
        if found.because.startswith("suspected"):
            assert found.verdict is Verdict.INSUFFICIENT
            assert 10 <= found.against < 100
            suspected = True
    assert suspected


def test_a_trial_survives_being_stored() -> None:
    trial, _ = judged(watched(TWO), [arms((2, 2), (8, 0))] * 5, TWO)
    stored = TypeAdapter(Trial)
    assert stored.validate_json(stored.dump_json(trial)) == trial


def test_a_trial_that_is_older_than_the_charter_goes_on() -> None:
    trial, _ = judged(watched(), [arms((2, 0), (8, 0))] * 60)
    assert judge(TWO, trial, at(60)).verdict is Verdict.INSUFFICIENT
    assert judge(ONE, look(TWO, trial, arms((2, 0), (8, 0)), at(60)), at(60)).verdict is Verdict.PASS


def test_the_next_canary_is_judged_by_what_is_known_of_the_stables_bursts() -> None:
    steady = watched(seconds=1200)
    assert begin(ONE, START).cases["errors"].dispersion.correlation > 0
    following = begin(ONE, START, steady)
    assert following.cases["errors"].dispersion.correlation == 0
    assert following.cases["errors"].counts == Arms()


def test_a_new_step_needs_its_own_evidence() -> None:
    trial, verdict = judged(watched(), [arms((2, 0), (8, 0))] * 60)
    assert verdict is Verdict.PASS
    assert judge(ONE, begin_step(trial), at(60)).verdict is Verdict.INSUFFICIENT


def test_every_objective_must_pass() -> None:
    healthy = Tally(2, 0), Tally(8, 0)
    errors_alone = Look(1.0, {"errors": Arms(*healthy)})
    both = Look(1.0, {"errors": Arms(*healthy), "slow": Arms(*healthy)})
    assert judged(watched(TWO), [errors_alone] * 100, TWO)[1] is Verdict.INSUFFICIENT
    assert judged(watched(TWO), [both] * 100, TWO)[1] is Verdict.PASS


def test_a_canary_that_breaks_fails_within_few_answers_whatever_is_known_of_bursts() -> None:
    for seconds in (0, 60, 600):
        assert looks_until_failed(watched(seconds=seconds), arms((2, 2), (8, 0))) == 2


def test_health_is_no_cushion() -> None:
    for minutes in (1, 10, 60):
        trial, _ = judged(watched(), [arms((2, 0), (8, 0))] * (60 * minutes))
        assert looks_until_failed(trial, arms((2, 2), (8, 0))) == 2
        assert looks_until_failed(trial, arms((4, 2), (16, 0))) <= 8


def test_the_voice_of_an_objective_is_its_part_of_the_evidence() -> None:
    slow = Objective(tolerance=1.0, floor=0.05, limit=0.1)
    charter = Charter({"errors": Objective(voice=4.0), "slow": slow})
    trial, _ = judged(watched(charter), [arms((2, 1), (8, 0))] * 3, charter)
    errors, other = (trial.cases[name].against for name in ("errors", "slow"))
    assert errors > 2 * other
    assert judge(charter, trial, at(3)).against == pytest.approx(0.8 * errors + 0.2 * other)


def test_three_errors_against_none_are_no_failure() -> None:
    sparse = [arms((2, second % 40 == 0), (8, 0)) for second in range(120)]
    trial, _ = judged(watched(), sparse)
    assert not trial.failed


def test_a_canary_under_the_floor_is_never_worse() -> None:
    trial, verdict = judged(watched(), [arms((20, second % 10 == 0), (80, 0)) for second in range(600)])
    assert verdict is Verdict.PASS
    assert not trial.failed


def test_an_outage_of_both_arms_is_not_the_canarys() -> None:
    trial, verdict = judged(watched(), [arms((10, 3), (40, 12))] * 600)
    assert verdict is Verdict.INSUFFICIENT
    assert not trial.failed


def test_where_the_stable_has_no_traffic_the_limit_decides() -> None:
    assert looks_until_failed(watched(), arms((10, 10), (0, 0))) <= 5
    assert looks_until_failed(watched(), arms((100, 3), (0, 0)), most=1000) == 1000
    assert judged(watched(), [arms((10, 0), (0, 0))] * 60)[1] is Verdict.PASS


def test_a_failure_is_final() -> None:
    trial, verdict = judged(watched(), [arms((2, 2), (8, 0))] * 5)
    assert verdict is Verdict.FAIL
    healed, verdict = judged(begin_step(trial), [arms((20, 0), (80, 0))] * 600)
    assert verdict is Verdict.FAIL
    assert healed.failed == trial.failed


def test_a_failure_names_the_objective_and_the_counts_of_both_arms() -> None:
    trial, _ = judged(watched(TWO), [arms((2, 2), (8, 0))] * 3, TWO)
    assert trial.failed.startswith("errors: 4 of 4 on the canary (100.00%), 0 of 16 on the stable (0.00%); evidence ")


def test_telemetry_that_stays_away_makes_the_judge_blind() -> None:
    trial, verdict = judged(watched(), [arms((2, 0), (8, 0))] * 60)
    assert verdict is Verdict.PASS
    silent = look(ONE, trial, Look(0.0, {}), at(200))
    assert judge(ONE, silent, at(59 + 30)).verdict is Verdict.PASS
    assert judge(ONE, silent, at(59 + 31)).verdict is Verdict.BLIND
    assert "no telemetry for 31 s" in judge(ONE, silent, at(59 + 31)).because


def test_a_failed_canary_stays_failed_when_telemetry_stays_away() -> None:
    trial, _ = judged(watched(), [arms((2, 2), (8, 0))] * 5)
    assert judge(ONE, trial, at(9999)).verdict is Verdict.FAIL


def test_an_unknown_metric_is_nobodys_business() -> None:
    extra = Look(1.0, {"errors": Arms(Tally(2, 0), Tally(8, 0)), "mood": Arms(Tally(2, 2), Tally(8, 0))})
    assert judged(watched(), [extra] * 60)[1] is Verdict.PASS


@pytest.mark.parametrize(
    "wrong",
    [{"tolerance": 0.9}, {"floor": 0.0}, {"floor": 0.06}, {"limit": 0.6}, {"limit": float("nan")}, {"voice": 0.0}],
    ids=str,
)
def test_an_objective_that_cannot_be_judged_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="allowed are tolerance >= 1"):
        Objective(**wrong)


def simulated(random: Random, rate: float, weight: float, canary: float, stable: float, looks: int) -> bool:
    """Whether the canary fails within so many looks of 15 seconds."""
    trial = watched(seconds=0)
    for count in range(-20, looks):
        totals = [0, 0]
        for _ in range(int(rate * 15)):
            totals[random.random() < (weight if count >= 0 else 0.0)] += 1
        tallies = [
            Tally(total, sum(random.random() < share for _ in range(total)))
            for total, share in zip(totals, (stable, canary), strict=True)
        ]
        trial = look(ONE, trial, Look(15.0, {"errors": Arms(tallies[1], tallies[0])}), at(15.0 * count))
    return bool(trial.failed)


@pytest.mark.parametrize(("rate", "weight"), [(1, 0.05), (5, 0.2)])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.3])
def test_a_canary_as_good_as_the_stable_is_hardly_ever_failed(rate: float, weight: float, share: float) -> None:
    random = Random(f"{rate} {weight} {share}")  # noqa: S311 (a simulation that can be repeated)
    failed = sum(simulated(random, rate, weight, share, share, looks=60) for _ in range(60))
    assert failed <= 3  # with a probability of 1 % each, more than 3 of 60 come once in 300 such tests


def test_ten_times_the_errors_are_found_in_minutes() -> None:
    random = Random(1)  # noqa: S311 (a simulation that can be repeated)
    assert sum(simulated(random, 20, 0.05, 0.1, 0.01, looks=16) for _ in range(20)) >= 18
