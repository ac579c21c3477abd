"""The options that a release may set for its engine. They stand apart from the engines so that checking a release
never imports torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Milliseconds = Annotated[int, Field(ge=0, le=600_000)]


class EngineOptions(BaseModel):
    """What every engine takes: how many requests at once, how many wait, how long a prompt may be (tokens)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    max_concurrency: Annotated[int, Field(ge=1, le=4096)] = 8
    max_queue: Annotated[int, Field(ge=0, le=100_000)] = 32
    max_prompt_tokens: Annotated[int, Field(ge=1, le=1_048_576)] = 1024


class EchoOptions(EngineOptions):
    """`delay_ms` before the first token, `token_delay_ms` before each later one. `fail_ratio` is the share of requests
    that fail, before their first token or, with `fail_after_tokens`, after that many. While `fail_file` exists in the
    pod all fail: so a drill breaks a release that was healthy until now, and mends it."""

    max_concurrency: Annotated[int, Field(ge=1, le=4096)] = 512
    max_queue: Annotated[int, Field(ge=0, le=100_000)] = 512
    delay_ms: Milliseconds = 0
    token_delay_ms: Milliseconds = 0
    fail_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    fail_after_tokens: Annotated[int, Field(ge=0)] = 0
    fail_file: Annotated[str, Field(pattern=r"^(/tmp/[\w.-]+)?$")] = ""


class TransformersOptions(EngineOptions):
    """`device` auto takes the GPU where there is one. `memory_fraction` is the share of free GPU memory for the KV
    cache; without a GPU the cache is as large as `max_concurrency` longest requests need. `cpu_threads` is for nodes
    with more cores than the pod may use. `page_size` is in tokens; by default 64 on a GPU. Without one a page holds a
    longest request, whose keys are then read in place."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    device_map: Literal["auto", "balanced", "sequential"] | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attention: Literal["sdpa", "eager", "flash_attention_2", "flash_attention_3"] = "sdpa"
    compile_level: Annotated[int, Field(ge=0, le=3)] = 0
    memory_fraction: Annotated[float, Field(gt=0, le=1)] = 0.8
    cpu_threads: Annotated[int, Field(ge=1)] | None = None
    page_size: Annotated[int, Field(ge=16, le=4096)] | None = None
    token_timeout_seconds: Annotated[float, Field(gt=0)] = 30.0


class OpenAIOptions(EngineOptions):
    """`remote_model` is the server's name for the model where it is not the release's; the key is a file's, since a
    release is no secret. `token_timeout_seconds` bounds the wait for each part of an answer."""

    max_concurrency: Annotated[int, Field(ge=1, le=4096)] = 64
    max_queue: Annotated[int, Field(ge=0, le=100_000)] = 256
    remote_model: Annotated[str, Field(min_length=1)] | None = None
    api_key_file: Annotated[str, Field(min_length=1)] | None = None
    connect_timeout_seconds: Annotated[float, Field(gt=0)] = 5.0
    token_timeout_seconds: Annotated[float, Field(gt=0)] = 30.0


ENGINE_OPTIONS: dict[str, type[EngineOptions]] = {
    "echo": EchoOptions,
    "openai": OpenAIOptions,
    "transformers": TransformersOptions,
}
