"""A conversation's client gets the note of the release that answered it, and nothing else that is written there."""

from __future__ import annotations

import json

import httpx
import pytest

from api.keeping import own_note

OWN = "v1-0123abcd"
COOKIE = "serinus-kept-00ff=1790000000.v1-0123abcd.00; Path=/; HttpOnly"
NOTES = json.dumps({OWN: COOKIE, "v2-89abcdef": "serinus-kept-00ff=other"})


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_sets_the_cookie_of_its_release(client: httpx.Client, stream: bool) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": "x"}], "stream": stream}
    for path, sent in (("/chat", {"prompt": "x"}), ("/v1/chat/completions", body)):
        answer = client.post(path, json=sent, headers={"X-Serinus-Keep": NOTES})
        assert answer.status_code == 200, answer.text
        assert answer.headers.get_list("set-cookie") == [COOKIE]
        assert "set-cookie" not in client.post(path, json=sent).headers


def test_a_refusal_keeps_nobody(client: httpx.Client) -> None:
    answer = client.post("/chat", json={}, headers={"X-Serinus-Keep": NOTES})
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers


def test_two_lists_of_notes_are_none(client: httpx.Client) -> None:
    answer = client.post("/chat", json={"prompt": "x"}, headers=[("X-Serinus-Keep", NOTES), ("X-Serinus-Keep", NOTES)])
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "notes",
    [
        "",
        "null",
        "[]",
        "{",
        "[" * 4000,
        json.dumps({"v2-89abcdef": COOKIE}),
        json.dumps({OWN: 1}),
        json.dumps({OWN: ""}),
        json.dumps({OWN: "a=b\r\nX-More: 1"}),
        json.dumps({OWN: "a=é"}),
        json.dumps({OWN: "a" * 600}),
        json.dumps({OWN: COOKIE, "more": "x" * 5000}),
    ],
)
def test_what_is_no_note_of_this_release_is_nothing(notes: str) -> None:
    assert own_note(notes, OWN) == ""
