"""Scores answers for offensive language, beside the answering: off the request's path, and off unless asked for.

`lexical` is a linear classifier and word lists, English and Chinese. It knows words, not meaning: it misses hatred in
polite words and takes "kill the process" for half a threat. So it is called what it is, and is good for one thing:
comparing canary and stable under the same scorer. A better one is plugged in as `module:callable`, text to 0…1.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from threading import BoundedSemaphore

from prometheus_client import Counter, Histogram

from exchange import Answer

log = logging.getLogger("serinus.chat")

Scorer = Callable[[str], float]

LEXICAL = "lexical"
BACKLOG = 256
_CHARACTERS = 20_000

_score = Histogram(
    "llm_output_offensive_score",
    "Offensive language in answers by the scorer, 0 to 1",
    ["release", "scorer"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
_unscored = Counter(
    "llm_output_unscored_total", "Answers of the sample without a score", ["release", "scorer", "reason"]
)


class ScorerError(Exception):
    """The scorer can't be had; the message says what to install or correct."""


class Scoring:
    """Scores a sample of the answers in a thread of its own."""

    def __init__(self, release: str, scorer: str, ratio: float) -> None:
        self._load = find_scorer(scorer)
        self._ratio = ratio
        self._scorer: Scorer | None = None
        self._score = _score.labels(release, scorer)
        self._dropped = _unscored.labels(release, scorer, "backlog")
        self._failed = _unscored.labels(release, scorer, "error")
        self._room = BoundedSemaphore(BACKLOG)
        # The thread starts with the first answer, so the supervisor, which answers nothing, never loads a classifier.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="score")

    def ended(self, answer: Answer) -> None:
        """Queue a whole answer; when the queue is full it is counted as unscored, for answering comes first."""
        if answer.outcome != "ok" or not self._sampled(answer.id):
            return
        if not self._room.acquire(blocking=False):
            self._dropped.inc()
            return
        self._pool.submit(self._score_one, answer.text[:_CHARACTERS])

    def _score_one(self, text: str) -> None:
        try:
            if self._scorer is None:
                self._scorer = self._load()
            self._score.observe(self._scorer(text))
        except Exception:
            # A plugged-in scorer may raise anything; an answer without a score is no reason to stop scoring.
            log.exception("the scorer failed")
            self._failed.inc()
        finally:
            self._room.release()

    def _sampled(self, answer_id: str) -> bool:
        return int.from_bytes(sha256(answer_id.encode()).digest()[-8:], "big") < self._ratio * 2**64


def find_scorer(name: str) -> Callable[[], Scorer]:
    """What loads the scorer of this name. Raises `ScorerError` when it can't be had."""
    if name == LEXICAL:
        missing = [module for module in ("profanity_check", "glin_profanity") if find_spec(module) is None]
        if missing:
            raise ScorerError(
                f"SERINUS_SCORER is lexical, which needs {', '.join(missing)}: install requirements-scorer.txt."
            )
        return _load_lexical
    module, _, attribute = name.partition(":")
    if not attribute or find_spec(module) is None:
        raise ScorerError(
            f"SERINUS_SCORER is {name!r}: allowed are lexical, or module:callable of an installed module."
        )
    return lambda: getattr(import_module(module), attribute)


def _load_lexical() -> Scorer:
    from glin_profanity import Filter
    from profanity_check import predict_prob

    words = Filter({"languages": ["english", "chinese"]})

    def score(text: str) -> float:
        if words.is_profane(text):
            return 1.0
        return float(predict_prob([text])[0])

    return score
