"""What makes a batch fast on a CPU: weights laid out for its kernels, and every request attending to its own keys only.

Transformers' continuous batching is made for GPUs. There it hands whole batches to kernels that know where each request
begins; on a CPU it copies all keys together and computes every request's attention to all others' keys, to mask nearly
all of it away. Here a request reads its keys where they lie, if its page of the cache holds all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.generation.continuous_batching.cache_allocators.full_attention import FullAttentionCacheAllocator

LONGEST_PAGE = 4096
"""Tokens of a page at most; longer requests have several, and their keys are copied together."""
ATTENTION = "serinus_request_by_request"


class PackedLinear(nn.Module):
    """A linear layer whose weight oneDNN has laid out beforehand: a step of a few rows takes half the time."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._bias = None if linear.bias is None else linear.bias.detach()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())

    def forward(self, rows: Tensor) -> Tensor:
        """As the layer that it stands for."""
        return cast(Tensor, torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], ""))


def pack(model: nn.Module) -> None:
    """Replace the linear layers of a model in float32; others stay, since their kernels differ from CPU to CPU."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch gives it none
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            # Only the plain layer: a subclass may compute something else.
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                setattr(module, name, PackedLinear(child))


def attend_by_request(model: Any) -> None:  # noqa: ANN401 - transformers' models have no type that says so
    """Let a model that continuous batching drives attend request by request. Call it after the manager is made, which
    knows only its own kinds, and before it starts."""
    AttentionInterface.register(ATTENTION, _attend)
    model.set_attn_implementation(ATTENTION)


def _attend(
    module: Any,  # noqa: ANN401 - any model's attention layer
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **batch: Any,  # noqa: ANN401 - what continuous batching passes along
) -> tuple[Tensor, None]:
    # [1, heads, tokens, size]: the tokens of all requests in a row; `own` has the keys and values of each.
    own = _read(module.layer_idx, key, value, batch)
    ends = batch["cu_seq_lens_q"].tolist()
    heads, size = query.shape[1], query.shape[3]
    answer = query.new_empty(1, query.shape[2], heads, size)
    for start, end, (own_keys, own_values) in zip(ends, ends[1:], own, strict=False):
        if end - start == 1:
            # Heads that share keys are queries of one head: nothing is copied.
            rows = query[:, :, start].view(1, key.shape[1], -1, size)
            attended = scaled_dot_product_attention(rows, own_keys, own_values, scale=scaling)
            answer[:, start] = attended.reshape(1, heads, size)
            continue
        # A prompt that begins now sees itself; one whose beginning is cached already also sees all of that.
        cached = own_keys.shape[2]
        seen = _triangle(end - start, cached) if cached > end - start else None
        attended = scaled_dot_product_attention(
            query[:, :, start:end],
            own_keys,
            own_values,
            attn_mask=seen,
            is_causal=seen is None,
            scale=scaling,
            enable_gqa=True,
        )
        answer[:, start:end] = attended.transpose(1, 2)
    return answer, None


def _read(layer: int, key: Tensor, value: Tensor, batch: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """Put the new keys and values into the cache; give each request all of its own, as [1, heads, tokens, size]."""
    allocator = batch["cache"].layer_to_allocator[layer]
    read_index = batch["read_index"][allocator.index]
    if type(allocator) is not FullAttentionCacheAllocator or not read_index.numel():
        # Other kinds of layers keep their keys in other orders; a batch of new prompts only has nothing cached to read.
        key, value = batch["cache"].update(key_states=key, value_states=value, layer_idx=layer, kwargs=batch)
        ends = batch["cu_seq_lens_k"].tolist()
        for start, end in pairwise(ends):
            yield key[:, :, start:end], value[:, :, start:end]
        return
    caches = allocator._kv_token_views[layer]
    for cache, new in zip(caches, (key, value), strict=True):
        cache.index_copy_(0, batch["write_index"][allocator.index], new.squeeze(0).transpose(0, 1))
    ends = batch["cu_seq_lens_k"][allocator.layer_type].tolist()
    for start, end in pairwise(ends):
        rows = read_index[start:end]
        if 0 < end - start <= allocator.tokens_per_page:
            first = int(rows[0])
            keys, values = (cache[first : first + end - start] for cache in caches)
        else:
            keys, values = (cache.index_select(0, rows) for cache in caches)
        yield keys.transpose(0, 1).unsqueeze(0), values.transpose(0, 1).unsqueeze(0)


def _triangle(queries: int, keys: int) -> Tensor:
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
