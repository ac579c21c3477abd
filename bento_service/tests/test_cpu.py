"""The ways of a CPU must not change a token: a small random model in a batch, against its own `generate()`."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.model  # no weights, but torch

# Lengths over and under a page of 16, one longer than a step of 24 tokens, two that begin alike.
LENGTHS = [3, 16, 40, 7, 21, 40]
TOKENS = 12


# A page holds a part of a request, or all of it.
@pytest.mark.parametrize(("bias", "page"), [(False, 16), (True, 16), (False, 64)])
def test_a_batch_answers_as_each_request_alone(bias: bool, page: int) -> None:
    import torch
    from transformers import ContinuousBatchingConfig, GenerationConfig, LlamaConfig, LlamaForCausalLM

    from engines import cpu

    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=96,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attention_bias=bias,
        tie_word_embeddings=True,
        initializer_range=0.3,  # far apart scores: no tie that rounding could decide
    )
    model = LlamaForCausalLM(config).eval()
    prompts = [torch.randint(3, 96, (length,)).tolist() for length in LENGTHS]
    prompts[-1][:32] = prompts[2][:32]
    greedy = GenerationConfig(do_sample=False, max_new_tokens=TOKENS, eos_token_id=-1, pad_token_id=0)
    with torch.no_grad():
        alone = [
            model.generate(torch.tensor([ids]), generation_config=greedy)[0, len(ids) :].tolist() for ids in prompts
        ]

    cpu.pack(model)
    packed = [module for module in model.modules() if isinstance(module, cpu.PackedLinear)]
    assert len(packed) == 2 * 7 + 1
    model.set_attn_implementation("sdpa")
    batching = ContinuousBatchingConfig(page_size=page, num_blocks=64, max_batch_tokens=24, max_requests_per_batch=4)
    manager = model.init_continuous_batching(generation_config=greedy, continuous_batching_config=batching)
    cpu.attend_by_request(model)
    manager.start()
    try:
        for number, ids in enumerate(prompts):
            manager.add_request(ids, request_id=str(number), max_new_tokens=TOKENS)
        results = [manager.get_result(timeout=240) for _ in prompts]
        # Once more: now the beginning of each prompt is in the cache.
        manager.add_request(prompts[2], request_id="again", max_new_tokens=TOKENS)
        again = manager.get_result(timeout=240)
    finally:
        manager.stop(block=True)
    together = {result.request_id: result.generated_tokens for result in results if result is not None}
    assert together == {str(number): tokens for number, tokens in enumerate(alone)}
    assert len({tuple(tokens) for tokens in alone}) > 3
    assert again is not None
    assert again.generated_tokens == alone[2]
