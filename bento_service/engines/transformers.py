"""The in-process engine: a causal language model on transformers' continuous batching, on GPU and CPU by the same code.

Continuous batching is a young interface; everything that touches it stands in this file. Two things it lacks are added
through its own extension point, the logits processors: sampling per request, and the repetition penalty.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

# Torch's threads spin while they wait for each other. On cores that others use too, most of the time is then spent
# spinning: 2 tokens a second instead of 29 on a busy machine of two cores. The library reads this once, when it loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from tokenizers.decoders import DecodeStream
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    ContinuousBatchingConfig,
    GenerationConfig,
    LogitsProcessorList,
    TopPLogitsWarper,
)
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
    ContinuousBatchingTopPLogitsWarper,
)
from transformers.utils import logging as transformers_logging

from engines import Draw, EngineError, Load, Message, Piece, Prompt, cpu, sampling
from engines.options import TransformersOptions

if TYPE_CHECKING:
    from torch import Tensor
    from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingManager
    from transformers.generation.continuous_batching.requests import FutureRequestState, GenerationOutput

    from release import Release

WARM_UP_TOKENS = 4
WARM_UP_SECONDS = 600


class TransformersEngine:
    """One model in this process; every request is a row of its running batch."""

    def __init__(self, release: Release, options: TransformersOptions) -> None:
        self._release = release
        self._options = options
        self._tokenising = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        self._tokenizer: Any = None
        self._manager: ContinuousBatchingManager | None = None
        self._end_tokens: list[int] = []

    async def start(self) -> None:
        """Load weights, allocate the cache, run a first answer."""
        try:
            await asyncio.to_thread(self._load)
        except (OSError, RuntimeError, ValueError, ImportError) as error:
            raise EngineError(f"model.path {self._release.model.path}: {error}") from error

    async def stop(self) -> None:
        """End the batch loop and free the cache."""
        if self._manager is not None:
            await asyncio.to_thread(self._manager.stop, block=True)
        self._tokenising.shutdown(wait=False)

    def alive(self) -> bool:
        """False once the batch loop has died: it does not come back by itself."""
        manager = self._manager
        return manager is None or (manager.is_running() and manager.background_thread_status.fatal_error is None)

    def ready(self) -> bool:
        """As long as it is alive."""
        return self.alive()

    def load(self) -> Load:
        """What the batch loop itself holds, those included that it has not noticed to be cancelled."""
        batch = None if self._manager is None else self._manager.batch_processor
        if batch is None:
            return Load(0, 0.0)
        decoding = len(batch.scheduler.active_requests) + len(batch.scheduler.waiting_requests)
        return Load(decoding, 1 - float(batch.cache.compute_free_capacity()))

    async def encode(self, messages: Sequence[Message]) -> Prompt:
        """Apply the model's chat template; off the event loop, since a long prompt takes its time."""
        ids = await asyncio.get_running_loop().run_in_executor(self._tokenising, self._template, messages)
        return Prompt(messages, tokens=len(ids), ids=ids)

    async def generate(self, prompt: Prompt, draw: Draw) -> AsyncGenerator[Piece, None]:
        """Tokens as the batch makes them; leaving early takes the request out of the batch."""
        manager = self._running_manager()
        request = uuid4().hex
        outputs: asyncio.Queue[GenerationOutput] = asyncio.Queue()
        manager.register_result_handler(request, outputs.put_nowait)
        finished = False
        try:
            accepted = manager.add_request(
                list(prompt.ids),
                request_id=request,
                max_new_tokens=draw.max_tokens,
                streaming=True,
                eos_token_id=self._end_tokens,
                temperature=draw.temperature,
                top_p=draw.top_p,
                seed=draw.seed,
            )
            if accepted is None:
                raise EngineError("the batch takes no more requests")
            decoder = DecodeStream(skip_special_tokens=True)
            seen = 0
            while not finished:
                output = await self._next(outputs)
                if output.error is not None:
                    raise EngineError(output.error)
                new = output.generated_tokens[seen:]
                seen += len(new)
                finished = output.is_finished()
                text = "".join(decoder.step(self._tokenizer.backend_tokenizer, token) or "" for token in new)
                ended = bool(new) and new[-1] in self._end_tokens
                yield Piece(text, len(new), ("stop" if ended else "length") if finished else None)
        finally:
            if not finished:
                manager.cancel_request(request)
                manager.output_router.result_handlers.pop(request, None)

    async def _next(self, outputs: asyncio.Queue[GenerationOutput]) -> GenerationOutput:
        try:
            async with asyncio.timeout(self._options.token_timeout_seconds):
                output = await outputs.get()
        except TimeoutError as error:
            raise EngineError(f"no token for {self._options.token_timeout_seconds} s") from error
        while not outputs.empty():  # each output carries the whole answer so far: the newest is enough
            output = outputs.get_nowait()
        return output

    def _running_manager(self) -> ContinuousBatchingManager:
        if self._manager is None or not self.alive():
            raise EngineError("the batch loop is not running")
        return self._manager

    def _template(self, messages: Sequence[Message]) -> list[int]:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return cast(
            list[int],
            self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False),
        )

    def _load(self) -> None:
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        options, path = self._options, self._release.model.path
        if options.cpu_threads is not None:
            torch.set_num_threads(options.cpu_threads)
        on_gpu = options.device == "cuda" or (options.device == "auto" and torch.cuda.is_available())
        if on_gpu and not torch.cuda.is_available():
            raise EngineError("options.device is cuda, but no GPU is visible in this pod. Use auto or cpu.")
        self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        if not self._tokenizer.chat_template:
            raise EngineError(f"model.path {path}: the tokenizer has no chat template; use an instruction-tuned model")
        # On a CPU half precision is slower than float32 in a batch; a GPU runs the precision the weights came in.
        dtype = options.dtype if options.dtype != "auto" or on_gpu else "float32"
        model: Any = AutoModelForCausalLM.from_pretrained(
            path,
            local_files_only=True,
            dtype=dtype,
            attn_implementation=options.attention,
            device_map=options.device_map if on_gpu else None,
        )
        if on_gpu and options.device_map is None:
            model.cuda()
        if not on_gpu:
            cpu.pack(model)
        self._end_tokens = _end_tokens(self._tokenizer.eos_token_id, model.generation_config.eos_token_id)
        self._manager = self._start_batching(model, on_gpu)
        self._warm_up()

    def _start_batching(self, model: Any, on_gpu: bool) -> ContinuousBatchingManager:  # noqa: ANN401 - no typed model
        options, limits = self._options, self._release.sampling
        longest = options.max_prompt_tokens + limits.max_tokens
        context = getattr(model.config, "max_position_embeddings", None)
        if context is not None and longest > context:
            raise EngineError(
                f"options.max_prompt_tokens {options.max_prompt_tokens} + sampling.max_tokens {limits.max_tokens} "
                f"pass the model's context of {context} tokens. Lower one of them."
            )
        # The penalty reads each request's tokens on the host: no recorded graph and no batch in advance can do that.
        host_history = limits.repetition_penalty != 1
        page = options.page_size or (64 if on_gpu else min(longest, cpu.LONGEST_PAGE))
        config = ContinuousBatchingConfig(
            page_size=page,
            num_blocks=None if on_gpu else options.max_concurrency * ceil(longest / page),
            # Without a GPU there is room for the longest request of everybody: nobody has to wait for room.
            safety_margin=None if on_gpu else 0.0,
            max_batch_tokens=None if on_gpu else 512,
            max_memory_percent=options.memory_fraction if on_gpu else None,
            max_requests_per_batch=options.max_concurrency,
            default_compile_level=0 if host_history else options.compile_level,
            use_cuda_graph=False if host_history else None,
            use_async_batching=False if host_history else None,
            auto_switch_to_flash=False,  # the release says which attention runs
        )
        generation = GenerationConfig(do_sample=False, eos_token_id=self._end_tokens, max_new_tokens=limits.max_tokens)
        manager = model.init_continuous_batching(generation_config=generation, continuous_batching_config=config)
        if not on_gpu and options.attention == "sdpa":
            cpu.attend_by_request(model)
        manager.logit_processor = _processors(self._release)
        manager.start()
        return cast("ContinuousBatchingManager", manager)

    def _warm_up(self) -> None:
        manager = self._running_manager()
        ids = self._template([Message("system", self._release.prompt.system), Message("user", "Hello")])
        manager.add_request(ids, max_new_tokens=min(WARM_UP_TOKENS, self._release.sampling.max_tokens))
        result = manager.get_result(timeout=WARM_UP_SECONDS)
        if result is None or result.error is not None:
            raise EngineError(f"the first answer failed: {'no token came' if result is None else result.error}")


class _Temperature(ContinuousBatchingLogitsProcessor):
    """Each request's own temperature; exactly greedy at 0."""

    supported_kwargs = {"temperature": float}  # noqa: RUF012 - the base class declares it so
    ignored_kwargs = ()

    def __init__(self) -> None:
        self._needed = False

    def fill_defaults(self, int32_tensor: Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[FutureRequestState]) -> Tensor:
        self._needed = _any_draws(requests_with_new_token)
        return torch.tensor([_temperature(request) for request in requests_with_new_token]).view(torch.int32)

    def __call__(self, scores: Tensor, tensor_arg: Tensor) -> Tensor:
        if _skips(scores, needed=self._needed):
            return scores
        return sampling.scale(scores, tensor_arg[: scores.size(0)].view(torch.float32))


class _Nucleus(ContinuousBatchingTopPLogitsWarper):
    """Each request's own top_p."""

    def __init__(self) -> None:
        super().__init__(TopPLogitsWarper(1.0))
        self._needed = False

    def prepare_tensor_args(self, requests_with_new_token: list[FutureRequestState]) -> Tensor:
        self._needed = any(
            request.state.logit_processor_kwargs.get("top_p", 1.0) < 1 for request in requests_with_new_token
        )
        return super().prepare_tensor_args(requests_with_new_token)

    def __call__(self, scores: Tensor, tensor_arg: Tensor) -> Tensor:
        return scores if _skips(scores, needed=self._needed) else super().__call__(scores, tensor_arg)


class _Noise(ContinuousBatchingLogitsProcessor):
    """What makes the largest score a fair draw, from each request's own seed."""

    supported_kwargs = {"seed": int}  # noqa: RUF012 - the base class declares it so
    ignored_kwargs = ()

    def __init__(self) -> None:
        self._needed = False

    def fill_defaults(self, int32_tensor: Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[FutureRequestState]) -> Tensor:
        self._needed = _any_draws(requests_with_new_token)
        # A new key for every position: the same noise twice would draw the same token again and again.
        keys = [
            (request.state.logit_processor_kwargs.get("seed", 0) * 1_000_003 + request.state.position_offset) % 2**31
            for request in requests_with_new_token
        ]
        return torch.tensor(keys, dtype=torch.int32)

    def __call__(self, scores: Tensor, tensor_arg: Tensor) -> Tensor:
        if _skips(scores, needed=self._needed):
            return scores
        return scores + sampling.gumbel(tensor_arg[: scores.size(0)], scores.size(-1))


def _temperature(request: FutureRequestState) -> float:
    return float(request.state.logit_processor_kwargs.get("temperature", 0.0))


def _any_draws(requests: list[FutureRequestState]) -> bool:
    return any(_temperature(request) > 0 for request in requests)


def _skips(scores: Tensor, *, needed: bool) -> bool:
    # On a CPU a tenth of a step goes into drawing over the whole vocabulary; a batch that is all greedy need not. On a
    # GPU it costs nothing that shows, and a recorded graph must hold it for whoever needs it next.
    return not needed and not scores.is_cuda


class _RepetitionPenalty(ContinuousBatchingLogitsProcessor):
    """The release's repetition penalty over prompt and answer: the batch carries only its newest tokens, so the history
    comes from the requests themselves."""

    supported_kwargs = {}  # noqa: RUF012 - the base class declares it so
    ignored_kwargs = ()

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty
        self._histories: list[list[int]] = []

    def fill_defaults(self, int32_tensor: Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[FutureRequestState]) -> Tensor:
        self._histories = [
            [*request.state.initial_tokens, *request.state.generated_tokens] for request in requests_with_new_token
        ]
        return torch.zeros(len(requests_with_new_token), dtype=torch.int32)

    def __call__(self, scores: Tensor, tensor_arg: Tensor) -> Tensor:
        seen = torch.zeros_like(scores, dtype=torch.bool)
        for row, history in enumerate(self._histories):
            seen[row, torch.tensor(history, device=scores.device)] = True
        return sampling.penalise(scores, seen, self._penalty)


def _processors(release: Release) -> ContinuousBatchingLogitsProcessorList:
    """In the usual order: penalty on raw scores, temperature, nucleus, draw."""
    penalty = release.sampling.repetition_penalty
    chain: list[ContinuousBatchingLogitsProcessor] = [_Temperature(), _Nucleus(), _Noise()]
    if penalty != 1:
        chain.insert(0, _RepetitionPenalty(penalty))
    processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList(chain))
    processors.tensors_required = len(chain)
    return processors


def _end_tokens(*ids: int | list[int] | None) -> list[int]:
    found: set[int] = set()
    for entry in ids:
        found.update([entry] if isinstance(entry, int) else entry or [])
    return sorted(found)


def create(release: Release) -> TransformersEngine:
    """The engine for this release."""
    return TransformersEngine(release, cast(TransformersOptions, release.engine_options()))
