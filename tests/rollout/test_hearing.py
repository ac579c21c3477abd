"""What is known of the stable survives a change of the canary, and only that."""

from datetime import UTC, datetime, timedelta

from serinus.rollout.evidence import Arms, Reading, Tally
from serinus.rollout.hearing import Hearing, begin_hearing, hear
from serinus.rollout.judge import STANDARD, Charter, Objective

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def heard(minutes: int) -> Hearing:
    """Ten minutes of a stable at 10 requests/s without any burst, read every 15 s."""
    hearing = begin_hearing("v2", "v1", STANDARD, START)
    for look in range(4 * minutes):
        at = START + timedelta(seconds=15 * look)
        counters = {name: Arms(stable=Tally(150 * look, 2 * look)) for name in STANDARD.objectives}
        hearing = hear(hearing, {"gateway": Reading(at, counters)}, {"gateway"}, at)
    return hearing


def correlation(hearing: Hearing) -> float:
    return hearing.trial.cases["errors"].dispersion.correlation


def test_the_next_canary_begins_with_what_is_known_of_the_stable() -> None:
    before = heard(minutes=10)
    after = begin_hearing("v3", "v1", STANDARD, START, before)
    assert correlation(before) == correlation(after) == 0
    assert after.trial.cases["errors"].counts == Arms()
    assert after.feed == before.feed


def test_another_stable_or_other_limits_are_other_counters() -> None:
    before = heard(minutes=10)
    other = Charter({"errors": Objective(limit=0.1)})
    assert correlation(begin_hearing("v3", "v2", STANDARD, START, before)) > 0
    assert correlation(begin_hearing("v3", "v1", other, START, before)) > 0
