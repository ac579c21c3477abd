"""Drawing tokens for many requests in one batch, each with its own temperature and seed.

A batch shares one random generator, so a seed could not be kept request by request. Adding Gumbel noise to the scaled
scores and taking the largest draws from the same distribution; here the noise is a hash of (seed, position, token), so
a request draws the same tokens whoever shares its batch, and a temperature of 0 is exactly greedy.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Multipliers of a well-mixing 32-bit integer hash.
_MIX_1 = 0x7FEB352D
_MIX_2 = 0x846CA68B
_MASK = 0xFFFFFFFF


def scale(scores: Tensor, temperatures: Tensor) -> Tensor:
    """Divide scores [batch, vocabulary] by temperatures [batch]; at 0 only the best token stays possible."""
    greedy = temperatures.unsqueeze(-1) <= 0
    scaled = scores / torch.where(greedy, 1.0, temperatures.unsqueeze(-1))
    below_best = scaled < scaled.max(dim=-1, keepdim=True).values
    return scaled.masked_fill(greedy & below_best, float("-inf"))


def gumbel(keys: Tensor, vocabulary: int) -> Tensor:
    """Standard Gumbel noise [batch, vocabulary] that depends on keys [batch] (integers) and the token alone."""
    tokens = torch.arange(vocabulary, device=keys.device, dtype=torch.int64)
    hashed = _mix(_mix(keys.to(torch.int64) & _MASK).unsqueeze(-1) ^ _mix(tokens + 1))
    uniform = (hashed.to(torch.float32) + 0.5) / 2**32
    # float32 rounds the largest hashes up to 1, where the noise would be infinite.
    return -torch.log(-torch.log(uniform.clamp(max=1 - 2**-24)))


def penalise(scores: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make tokens marked in seen [batch, vocabulary] (bool) less likely: the usual repetition penalty on raw scores."""
    return torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)


def _mix(value: Tensor) -> Tensor:
    value = ((value ^ (value >> 16)) * _MIX_1) & _MASK
    value = ((value ^ (value >> 15)) * _MIX_2) & _MASK
    return value ^ (value >> 16)
