"""Bursts are seen in the stable's scatter, and make requests count for less."""

from random import Random

import pytest

from serinus.rollout.dispersion import ASSUMED_CORRELATION, ENOUGH_BLOCKS, Dispersion, effective
from serinus.rollout.evidence import Tally


def watched(blocks: int, share: list[float], requests: int = 200, seconds: float = 15.0, seed: int = 1) -> Dispersion:
    """Watch a stable whose share of bad requests is drawn from `share` anew for each block of 15 seconds."""
    random = Random(seed)  # noqa: S311 (a simulation that can be repeated)
    seen = Dispersion()
    per_look = int(requests * seconds / 15.0)
    for _ in range(blocks):
        now = random.choice(share)
        for _ in range(int(15.0 / seconds)):
            seen = seen.after(Tally(per_look, sum(random.random() < now for _ in range(per_look))), seconds)
    return seen


@pytest.mark.parametrize("seed", range(5))
def test_independent_requests_have_no_correlation(seed: int) -> None:
    assert watched(100, [0.05], seed=seed).correlation == 0.0


@pytest.mark.parametrize("seconds", [15.0, 1.0])
def test_bursts_are_seen_however_short_the_looks_are(seconds: float) -> None:
    # Two shares 5 points around 10 %: a variance of 0.0025 of 0.09, so a correlation of 1 in 36.
    assert watched(240, [0.05, 0.15], seconds=seconds).correlation == pytest.approx(1 / 36, rel=0.35)


def test_bursts_are_assumed_until_enough_was_seen() -> None:
    enough = int(ENOUGH_BLOCKS) + 2  # blocks fade, so it takes a little longer
    assert Dispersion().correlation == ASSUMED_CORRELATION
    assert watched(int(ENOUGH_BLOCKS) - 1, [0.05]).correlation >= ASSUMED_CORRELATION
    assert watched(enough, [0.05]).correlation == 0.0


@pytest.mark.parametrize("share", [[0.0], [1.0]])
def test_a_stable_without_any_variety_shows_no_bursts(share: list[float]) -> None:
    assert watched(60, share, requests=20).correlation == 0.0


def test_blocks_without_requests_and_of_single_requests_show_nothing() -> None:
    assert watched(60, [0.5], requests=0).correlation == ASSUMED_CORRELATION
    assert watched(60, [0.5], requests=1).correlation == 0.0


def test_the_usual_share_is_the_stables_own() -> None:
    assert Dispersion().usual == pytest.approx(0.01)
    assert watched(200, [0.05]).usual == pytest.approx(0.05, rel=0.1)


def test_independent_requests_count_in_full() -> None:
    assert effective(Tally(15, 3), 1.0, 0.0) == Tally(15, 3)


def test_a_single_request_counts_in_full() -> None:
    assert effective(Tally(1, 1), 15.0, 0.5) == Tally(1, 1)


def test_requests_that_all_end_alike_count_as_one() -> None:
    shrunk = effective(Tally(50, 50), 15.0, 1.0)
    assert (shrunk.total, shrunk.bad) == pytest.approx((1.0, 1.0))


def test_short_looks_are_shrunk_as_the_block_that_they_are_part_of() -> None:
    block, look = effective(Tally(150, 15), 15.0, 0.05), effective(Tally(10, 1), 1.0, 0.05)
    assert (15 * look.total, 15 * look.bad) == pytest.approx((block.total, block.bad))


def test_a_first_look_of_no_length_counts_in_full() -> None:
    assert effective(Tally(10, 1), 0.0, 0.05) == Tally(10, 1)
