"""Captured conversations: redacted, sealed, sampled, and readable with the private key alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capture import Capture, CaptureError, CaptureSettings, main, make_keys, open_captures
from engines import Message
from exchange import Answer, Question
from redaction import redact
from settings import SettingsError, read_settings


def conversation(number: int) -> Answer:
    """An answer that has ended."""
    question = Question([Message("user", "I am bob@example.com, hello")])
    return Answer(f"chatcmpl-{number}", "/chat", question=question, parts=["Hello", " Bob"], outcome="ok")


def captured(folder: Path, ratio: float, count: int) -> list[Path]:
    """The files after so many answers."""
    make_keys(folder)
    capture = Capture("v1-0123abcd", CaptureSettings(folder / "captures", folder / "capture.pub", ratio))
    for number in range(count):
        capture.ended(conversation(number))
    return list((folder / "captures").iterdir())


def test_a_capture_opens_with_the_private_key_alone(tmp_path: Path) -> None:
    files = captured(tmp_path, 1, 2)
    assert b"Hello" not in files[0].read_bytes()
    assert files[0].stat().st_mode & 0o777 == 0o600
    records = [json.loads(record) for record in open_captures(tmp_path / "capture.key", files)]
    assert [record["id"] for record in records] == ["chatcmpl-0", "chatcmpl-1"]
    assert records[0]["messages"] == [{"role": "user", "content": "I am [EMAIL], hello"}]
    assert records[0]["answer"] == "Hello Bob"
    make_keys(tmp_path / "other")
    with pytest.raises(CaptureError, match="does not open"):
        open_captures(tmp_path / "other/capture.key", files)
    with pytest.raises(CaptureError, match="does not open"):
        open_captures(tmp_path / "capture.pub", files)


def test_the_sample_is_the_share_that_was_asked_for(tmp_path: Path) -> None:
    files = captured(tmp_path, 0.2, 500)
    lines = files[0].read_bytes().count(b"\n")
    assert 100 - 45 < lines < 100 + 45  # five standard deviations


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    make_keys(tmp_path)
    key = (tmp_path / "capture.key").read_bytes()
    with pytest.raises(SystemExit, match="exists"):
        main(["keys", str(tmp_path)])
    assert (tmp_path / "capture.key").read_bytes() == key


def test_capturing_needs_folder_key_and_a_share(tmp_path: Path) -> None:
    assert read_settings({}).capture is None
    with pytest.raises(SettingsError, match="set together"):
        read_settings({"SERINUS_CAPTURE_DIR": "/captures"})
    both = {"SERINUS_CAPTURE_DIR": str(tmp_path), "SERINUS_CAPTURE_KEY_FILE": str(tmp_path / "none.pub")}
    with pytest.raises(SettingsError, match="SERINUS_CAPTURE_RATIO is 2"):
        read_settings({**both, "SERINUS_CAPTURE_RATIO": "2"})
    settings = read_settings(both).capture
    assert settings is not None
    with pytest.raises(CaptureError, match=r"none\.pub is no key"):
        Capture("v1-0123abcd", settings)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mail bob.b+c@mail.example.org now", "mail [EMAIL] now"),
        ("call +49 (30) 1234 5678", "call [NUMBER]"),
        ("card 4111 1111 1111 1111 ok", "card [NUMBER] ok"),
        ("身份证 11010519491231002X。", "身份证 [NUMBER]。"),
        ("from 192.168.10.4 today", "from [IP] today"),
        ("use sk-abcdefghijklmnop1234 here", "use [KEY] here"),
        ("the password is hunter2", "the [SECRET]"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [IBAN]"),
    ],
)
def test_what_identifies_or_opens_is_redacted(text: str, clean: str) -> None:
    assert redact(text) == clean


@pytest.mark.parametrize("text", ["In 1989 there were 12345 ships.", "3.14159265358979", "v1.2.3", "a token of thanks"])
def test_ordinary_numbers_and_words_stay(text: str) -> None:
    assert redact(text) == text
