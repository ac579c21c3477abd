"""Feedback counts for the release that gave the answer, and only for answers that were given."""

from __future__ import annotations

import httpx
import pytest

from tests.conftest import Server


@pytest.fixture
def answer_id(client: httpx.Client) -> str:
    """The id of an answer just given."""
    return str(client.post("/chat", json={"prompt": "x"}).json()["id"])


def test_a_rating_and_a_report_are_counted(echo: Server, client: httpx.Client, answer_id: str) -> None:
    response = client.post("/v1/feedback", json={"id": answer_id, "rating": 2, "report": "wrong"})
    assert response.status_code == 202
    assert echo.metric("llm_feedback_total", release="v1-0123abcd", rating="2") == 1
    assert echo.metric("llm_reports_total", release="v1-0123abcd", reason="wrong") == 1


def test_an_answer_that_was_never_given_can_not_be_rated(client: httpx.Client, answer_id: str) -> None:
    forged = answer_id[:-1] + ("0" if answer_id[-1] != "0" else "1")
    assert client.post("/v1/feedback", json={"id": forged, "rating": 1}).status_code == 404
    assert client.post("/v1/feedback", json={"id": "chatcmpl-ü", "rating": 1}).status_code == 404


def test_an_answer_of_one_release_can_not_be_put_on_another(client: httpx.Client, answer_id: str) -> None:
    response = client.post("/v1/feedback", json={"id": answer_id, "release": "v2-ffffffff", "rating": 1})
    assert response.status_code == 404


@pytest.mark.parametrize("body", [{}, {"rating": 6}, {"rating": 0}, {"report": "because"}, {"rating": 3, "text": "hi"}])
def test_feedback_that_says_nothing_clear_is_refused(
    client: httpx.Client, answer_id: str, body: dict[str, object]
) -> None:
    response = client.post("/v1/feedback", json={"id": answer_id, **body})
    assert response.status_code == 400


def test_what_nobody_has_said_yet_stands_at_zero(echo: Server) -> None:
    assert [echo.metric("llm_feedback_total", release="v1-0123abcd", rating=rating) for rating in "45"] == [0, 0]
    assert echo.metric("llm_reports_total", release="v1-0123abcd", reason="private") == 0
