"""Scoring answers: real scores from the real classifier, and never at the cost of an answer."""

from __future__ import annotations

from threading import Event

import pytest
from prometheus_client import REGISTRY

from exchange import Answer
from scoring import BACKLOG, ScorerError, Scoring, find_scorer
from tests.conftest import eventually

RELEASE = "v1-0123abcd"
gate = Event()


def wait_for_gate(text: str) -> float:
    """A scorer that takes until it is let go."""
    gate.wait(30)
    return len(text) / 100


def broken(text: str) -> float:
    """A scorer with a bug."""
    raise RuntimeError(text)


def value(name: str, scorer: str, **labels: str) -> float:
    """A series of this process."""
    return REGISTRY.get_sample_value(name, {"release": RELEASE, "scorer": scorer, **labels}) or 0.0


def answer(text: str) -> Answer:
    """An answer that has ended well."""
    return Answer("chatcmpl-1", "/chat", parts=[text], outcome="ok")


def test_the_lexical_scorer_knows_insults_in_both_languages_from_ordinary_words() -> None:
    score = find_scorer("lexical")()
    assert score("You are a stupid idiot and I hate you.") > 0.8
    assert score("你这个傻逼") > 0.8
    assert score("The Danube flows through ten countries.") < 0.2
    assert score("多瑙河流经十个国家。") < 0.2


def test_a_full_backlog_is_counted_and_holds_nobody_up() -> None:
    name = f"{__name__}:wait_for_gate"
    scoring = Scoring(RELEASE, name, 1.0)
    gate.clear()
    for _ in range(BACKLOG + 10):
        scoring.ended(answer("x" * 50))
    assert value("llm_output_unscored_total", name, reason="backlog") == 10
    gate.set()
    assert eventually(lambda: value("llm_output_offensive_score_count", name) == BACKLOG)
    assert value("llm_output_offensive_score_sum", name) == pytest.approx(0.5 * BACKLOG)


def test_a_broken_scorer_makes_no_number_up() -> None:
    name = f"{__name__}:broken"
    scoring = Scoring(RELEASE, name, 1.0)
    scoring.ended(answer("x"))
    assert eventually(lambda: value("llm_output_unscored_total", name, reason="error") == 1)
    assert value("llm_output_offensive_score_count", name) == 0


@pytest.mark.parametrize("name", ["toxic", "nowhere_at_all:score", "json:"])
def test_a_scorer_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(ScorerError, match=f"SERINUS_SCORER is '{name}'"):
        find_scorer(name)
