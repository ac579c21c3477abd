"""Drawing tokens: the noise must be the right distribution, and greedy must be exactly greedy."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.model  # no weights, but torch: its import alone would take most of the fast tests' time


def test_a_temperature_of_zero_keeps_only_the_best_token() -> None:
    import torch

    from engines.sampling import gumbel, scale

    scores = torch.tensor([[1.0, 3.0, 2.999], [1.0, 3.0, 2.999]])
    scaled = scale(scores, torch.tensor([0.0, 0.5]))
    assert scaled[0].tolist() == [float("-inf"), 3.0, float("-inf")]
    assert scaled[1].tolist() == pytest.approx([2.0, 6.0, 5.998])
    keys = torch.arange(1000, dtype=torch.int32)
    drawn = (scaled[0] + gumbel(keys, 3)).argmax(dim=-1)
    assert set(drawn.tolist()) == {1}


def test_the_noise_draws_by_the_models_probabilities() -> None:
    import torch

    from engines.sampling import gumbel

    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    draws = 40_000
    drawn = (probabilities.log() + gumbel(torch.arange(draws, dtype=torch.int32), 4)).argmax(dim=-1)
    shares = torch.bincount(drawn, minlength=4) / draws
    # Five standard errors.
    errors = (probabilities * (1 - probabilities) / draws).sqrt() * 5
    assert torch.all((shares - probabilities).abs() < errors), shares


def test_the_noise_depends_on_key_and_token_alone_and_is_finite() -> None:
    import torch

    from engines.sampling import gumbel

    keys = torch.tensor([7, 2**31 - 1, 0, 7], dtype=torch.int32)
    noise = gumbel(keys, 49_152)
    assert torch.equal(noise[0], noise[3])
    assert not torch.equal(noise[0], noise[1])
    assert torch.equal(noise[1:2], gumbel(keys[1:2], 49_152))
    assert torch.isfinite(noise).all()


def test_a_penalty_makes_seen_tokens_less_likely_whatever_their_sign() -> None:
    import torch

    from engines.sampling import penalise

    seen = torch.tensor([[True, True, False]])
    assert penalise(torch.tensor([[2.0, -2.0, 2.0]]), seen, 2.0).tolist() == [[1.0, -4.0, 2.0]]
