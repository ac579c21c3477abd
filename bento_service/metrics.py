"""What Prometheus sees of this release: every answer's outcome, time and tokens.

BentoML's own counters are switched off: they count a stream that broke as a success, and make a new series for every
path that anyone tries.
"""

from __future__ import annotations

import os
from typing import get_args

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from engines import Load
from exchange import Answer, Outcome

# The bounds of the GenAI conventions, with the limits that objectives are usually set at.
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1, 1.28, 2, 2.56, 3, 5.12, 10, 10.24, 20, 20.48, 40, 60, 81.92)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2, 2.5, 3, 5, 7.5, 10, 20, 40)
_PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)

_requests = Counter("llm_requests_total", "Requests by how they ended", ["release", "outcome"])
_tokens = Counter("llm_tokens_total", "Tokens read and written", ["release", "type"])
_duration = Histogram(
    "gen_ai_server_request_duration_seconds",
    "From request to last token, successful answers",
    ["release"],
    buckets=_SECONDS,
)
_first_token = Histogram(
    "gen_ai_server_time_to_first_token_seconds", "From request to first token", ["release"], buckets=_FIRST_TOKEN
)
_per_token = Histogram(
    "gen_ai_server_time_per_output_token_seconds",
    "Mean time between tokens of an answer",
    ["release"],
    buckets=_PER_TOKEN,
)
_running = Gauge("llm_requests_running", "Requests being answered", ["release"], multiprocess_mode="livesum")
_waiting = Gauge("llm_requests_waiting", "Requests in the queue", ["release"], multiprocess_mode="livesum")
_decoding = Gauge(
    "llm_sequences_decoding",
    "Sequences in the engine's batch",
    ["release"],
    multiprocess_mode="livesum",
)
_cache_used = Gauge(
    "llm_kv_cache_usage_ratio",
    "Share of the engine's cache in use",
    ["release"],
    multiprocess_mode="livemax",
)
_build = Gauge(
    "llm_build_info",
    "What this process answers with; always 1",
    ["release", "engine", "model", "revision"],
    multiprocess_mode="livemax",
)


class Metrics:
    """This release's series. All exist from the start, so that the first failure is a rise from 0 that `rate` sees."""

    def __init__(self, release: str, engine: str, model: str, revision: str) -> None:
        self._outcomes = {outcome: _requests.labels(release, outcome) for outcome in get_args(Outcome)}
        self._prompt_tokens = _tokens.labels(release, "input")
        self._answer_tokens = _tokens.labels(release, "output")
        self._duration = _duration.labels(release)
        self._first_token = _first_token.labels(release)
        self._per_token = _per_token.labels(release)
        self.running = _running.labels(release)
        self.waiting = _waiting.labels(release)
        self._decoding = _decoding.labels(release)
        self._cache_used = _cache_used.labels(release)
        _build.labels(release, engine, model, revision).set(1)

    def loaded(self, load: Load) -> None:
        """Show what the engine is at."""
        self._decoding.set(load.decoding)
        if load.cache_used is not None:
            self._cache_used.set(load.cache_used)

    def ended(self, answer: Answer) -> None:
        """Count one request."""
        self._outcomes[answer.outcome or "engine_error"].inc()
        self._prompt_tokens.inc(answer.prompt_tokens)
        self._answer_tokens.inc(answer.tokens)
        if answer.first_token is not None:
            self._first_token.observe(answer.first_token - answer.started)
        if answer.outcome == "ok":
            self._duration.observe(answer.ended - answer.started)
            if answer.first_token is not None and answer.tokens > 1:
                self._per_token.observe((answer.ended - answer.first_token) / (answer.tokens - 1))


def exposition() -> bytes:
    """All series in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()  # BentoML starts its workers with one file of values each
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
