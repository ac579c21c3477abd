"""Signs of a bad answer that need no judge: cheap, the same for every release, counted for each answer.

None of them says that one answer is bad: a refusal may be right, a cut answer wanted. Their rates, compared between
canary and stable under the same users, say whether a release behaves differently.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter as Tally
from typing import Literal, get_args

from prometheus_client import Counter, Histogram

from exchange import Answer

Signal = Literal["empty", "truncated", "repetitive", "refusal", "script_switch"]

_LOOP_WORDS = 4
_LOOP_SHARE = 0.5
_MIN_LETTERS = 8
_OPENING = 200
_REFUSALS = re.compile(
    r"\b(i(?:'| a)?m sorry,? but|i (?:can(?:no|')t|am (?:not able|unable) to|won't) (?:help|assist|answer|provide|do)"
    r"|as an ai(?: language)? model)|(?:很|非常)?抱歉,?,?我(?:不能|无法)|我(?:不能|无法)(?:提供|回答|帮助)",
    re.IGNORECASE,
)

_signals = Counter("llm_answer_signals_total", "Answers that show a sign of trouble", ["release", "signal"])
_length = Histogram(
    "llm_answer_tokens",
    "Length of whole answers in tokens: compare releases for drift",
    ["release"],
    buckets=(0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
)


def signals(prompt: str, answer: str, *, cut: bool) -> set[Signal]:
    """The signs that an answer to a prompt shows; `cut` is whether it ended for its length."""
    found: set[Signal] = set()
    if not answer.strip():
        found.add("empty")
    if cut:
        found.add("truncated")
    if _repeats(answer):
        found.add("repetitive")
    if _REFUSALS.search(answer[:_OPENING]):
        found.add("refusal")
    asked, answered = _script(prompt), _script(answer)
    if asked is not None and answered is not None and asked != answered:
        found.add("script_switch")
    return found


def _repeats(text: str) -> bool:
    """Whether most of the text is runs of words that came before."""
    # Scripts without spaces count by characters.
    words = text.split() if " " in text.strip() else list(text.strip())
    runs = [tuple(words[start : start + _LOOP_WORDS]) for start in range(len(words) - _LOOP_WORDS + 1)]
    if len(runs) < 2 * _LOOP_WORDS:
        return False
    again = sum(count - 1 for count in Tally(runs).values())
    return again / len(runs) > _LOOP_SHARE


def _script(text: str) -> str | None:
    """The script of most letters, such as LATIN or CJK; None when there are too few to tell."""
    # A language can't be told without a model; a switch of script can, and is the switch that users notice first.
    scripts = Tally(unicodedata.name(letter, "?").partition(" ")[0] for letter in text[:2000] if letter.isalpha())
    for kana in (
        "HIRAGANA",
        "KATAKANA",
    ):  # Japanese mixes them with Chinese characters, now more of one, now of the other
        scripts["CJK"] += scripts.pop(kana, 0)
    if scripts.total() < _MIN_LETTERS:
        return None
    return scripts.most_common(1)[0][0]


class Quality:
    """Counts the signs of this release's answers."""

    def __init__(self, release: str) -> None:
        self._signals = {signal: _signals.labels(release, signal) for signal in get_args(Signal)}
        self._length = _length.labels(release)

    def ended(self, answer: Answer) -> None:
        """Look at a whole answer; broken and refused ones are counted elsewhere."""
        if answer.outcome != "ok" or answer.question is None:
            return
        self._length.observe(answer.tokens)
        prompt = " ".join(message.content for message in answer.question.messages if message.role == "user")
        for signal in signals(prompt, answer.text, cut=answer.finish_reason == "length"):
            self._signals[signal].inc()
