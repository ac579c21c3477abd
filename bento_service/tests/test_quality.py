"""The signs of trouble: what shows each of them, and that ordinary answers show none."""

from __future__ import annotations

import httpx
import pytest

from quality import Signal, signals
from tests.conftest import Server

ASKED = "Please tell me something about rivers."


@pytest.mark.parametrize(
    "answer",
    [
        "The Danube flows through ten countries, more than any other river in the world.",
        "Yes.",
        "42",
        "1. Nile\n2. Amazon\n3. Yangtze\n4. Mississippi\n5. Yenisei\n6. Yellow River\n7. Ob\n8. Parana",
        "I am sorry to hear that. Rivers rise after rain.",
        "def flow(river):\n    return river.length / river.speed",
    ],
)
def test_an_ordinary_answer_shows_nothing(answer: str) -> None:
    assert signals(ASKED, answer, cut=False) == set()


@pytest.mark.parametrize(
    ("answer", "cut", "sign"),
    [
        ("", False, "empty"),
        (" \n", False, "empty"),
        ("The river flows", True, "truncated"),
        ("the river is long and " * 12, False, "repetitive"),
        ("河很长。" * 20, False, "repetitive"),
        ("I'm sorry, but I can't help with that.", False, "refusal"),
        ("As an AI language model, I have no rivers.", False, "refusal"),
        ("抱歉,我无法回答这个问题。", False, "refusal"),
        ("多瑙河流经十个国家,比世界上任何河流都多。", False, "script_switch"),
    ],
)
def test_each_sign_is_seen(answer: str, cut: bool, sign: Signal) -> None:
    assert sign in signals(ASKED, answer, cut=cut)


def test_an_answer_in_the_script_of_the_question_is_no_switch() -> None:
    assert signals("请告诉我一些关于河流的事情。", "多瑙河流经十个国家,比任何河流都多。", cut=False) == set()
    assert signals("川について何か教えてください。", "信濃川は日本最長の河川、全長三百六十七粁。", cut=False) == set()


def test_signs_are_counted_for_whole_answers_alone(echo: Server, client: httpx.Client) -> None:
    cut = echo.metric("llm_answer_signals_total", release="v1-0123abcd", signal="truncated")
    whole = echo.metric("llm_answer_tokens_count", release="v1-0123abcd")
    client.post("/chat", json={"prompt": "one two three", "max_tokens": 2})
    client.post("/chat", content=b"nonsense")
    assert echo.metric("llm_answer_signals_total", release="v1-0123abcd", signal="truncated") == cut + 1
    assert echo.metric("llm_answer_tokens_count", release="v1-0123abcd") == whole + 1
