"""Who gets which label: users keep their bucket, and every doubt is no label, which means the stable release."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.bucketer.config import Config, ConfigError, read_config
from serinus.bucketer.decide import Decider
from serinus.bucketer.keeping import Keep
from serinus.rollout.buckets import bucket_of, keyed, label

SALT = "a salt of sixteen"
NOW = 1_790_000_000.5
HEADER = Config(SALT, header="X-User-Id")
EVERYTHING = Config(
    SALT,
    header="X-User-Id",
    cookie="uid",
    claim="sub",
    conversation="X-Conversation-Id",
    tag_header="X-User-Tag",
    tester_word="let-me-in",
    testers=(keyed("grace", SALT).hex(),),
    keep=Keep("v1-00000000", "v2-11111111", "00", 3600),
)
ADA = label(bucket_of("ada", SALT))


def said(config: Config, *headers: tuple[str, str | bytes]) -> str:
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower().encode(), []).append(value if isinstance(value, bytes) else value.encode())
    return Decider(config).decide(found, NOW).label


def token(document: object) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
    return f"Bearer e30.{middle}.c2ln"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs"]), min_size=1, max_size=200))
def test_a_users_label_is_the_bucket_that_the_rules_give(user: str) -> None:
    user = user.strip()
    expected = label(bucket_of(user, SALT)) if user else ""
    assert said(HEADER, ("X-User-Id", user)) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("X-User-Id", "ada")], ADA),
        ([("x-uSER-iD", " ada ")], ADA),
        ([("Cookie", "theme=dark; uid=ada")], ADA),
        ([("Authorization", token({"sub": "ada"}))], ADA),
        ([("Authorization", token({"sub": 17}))], label(bucket_of("17", SALT))),
        # A conversation decides before its user.
        ([("X-Conversation-Id", "ada"), ("X-User-Id", "linus")], ADA),
        # A second dimension.
        ([("X-User-Id", "ada"), ("X-User-Tag", "VIP")], f"{ADA}_VIP"),
        ([("X-User-Id", "ada"), ("X-User-Tag", "V|P")], ADA),
        ([("X-User-Id", "ada"), ("X-User-Tag", "VIP"), ("X-User-Tag", "NEW")], ADA),
        # Testers: by a list of hashes, by a word in a header or in a cookie.
        ([("X-User-Id", "grace")], "tester"),
        ([("X-Serinus-Tester", "let-me-in")], "tester"),
        ([("X-User-Id", "ada"), ("Cookie", "serinus-tester=let-me-in")], "tester"),
        ([("X-User-Id", "ada"), ("X-Serinus-Tester", "let-me-out")], ADA),
        # What is missing, doubled or not what it should be decides nothing.
        ([], ""),
        ([("X-User-Id", "")], ""),
        ([("X-User-Id", "ada"), ("X-User-Id", "ada")], ""),
        ([("X_User_Id", "ada")], ""),
        ([("X-User-Id", "a" * 257)], ""),
        ([("Cookie", "uid=ada; uid=linus")], ""),
        ([("Cookie", "uidx=ada; xuid=ada")], ""),
        ([("Authorization", "Basic YTpi")], ""),
        ([("Authorization", "Bearer ada")], ""),
        ([("Authorization", "Bearer e30.!!!.c2ln")], ""),
        ([("Authorization", token(["sub"]))], ""),
        ([("Authorization", token({"sub": True}))], ""),
        ([("Authorization", token({"sub": {"a": 1}}))], ""),
        # What a client says of its bucket is not asked for.
        ([("X-User-Bucket", "00")], ""),
        ([("X-User-Id", "ada"), ("X-User-Bucket", "00")], ADA),
    ],
)
def test_the_label_of_a_request(headers: list[tuple[str, str]], expected: str) -> None:
    assert said(EVERYTHING, *headers) == expected


@given(st.lists(st.tuples(st.sampled_from(["X-User-Id", "Cookie", "Authorization", "X-User-Tag"]), st.binary())))
def test_no_bytes_are_an_error(headers: list[tuple[str, bytes]]) -> None:
    said(EVERYTHING, *headers)


def test_a_claim_that_is_no_text_at_all_is_no_error() -> None:
    assert said(EVERYTHING, ("Authorization", token({"sub": "\ud800"}))) != ""
    deep = base64.urlsafe_b64encode(b"[" * 9000).decode()
    assert said(EVERYTHING, ("Authorization", f"Bearer e30.{deep}.c2ln")) == ""


def test_what_is_not_configured_is_not_looked_at() -> None:
    assert Decider(HEADER).wanted == {b"x-user-id"}
    assert said(HEADER, ("X-Conversation-Id", "ada"), ("Cookie", "uid=ada")) == ""


def test_the_configuration_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(EVERYTHING.document())
    assert read_config(file) == EVERYTHING
    assert "grace" not in EVERYTHING.document()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"salt": ""}',
        '{"salt": "s", "more": 1}',
        '{"salt": 1}',
        '{"salt": "s", "testers": [1]}',
        '{"salt": "s", "keep": {}}',
        '{"salt": "s", "keep": "v1"}',
        '{"salt": "s", "keep": {"stable": "v1", "canary": "v2", "label": "00", "seconds": "60"}}',
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_without_its_values(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.json"):
        read_config(file)
    with pytest.raises(ConfigError, match="can't be read"):
        read_config(tmp_path / "missing.json")
