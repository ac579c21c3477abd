"""A conversation ends on the release that it began on, by what nobody can forge, lend to another or use for ever."""

import json
from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.bucketer.config import Config
from serinus.bucketer.decide import Decider, Decision
from serinus.bucketer.keeping import MOST_NOTES, Keep, cookie_of, kept, notes
from serinus.rollout.buckets import bucket_of, label

SALT = "a salt of sixteen"
KEEP = Keep("v1-00000000", "v2-11111111", "00", 3600)
CONFIG = Config(SALT, header="X-User-Id", conversation="X-Conversation-Id", tester_word="let-me-in", keep=KEEP)
TALK = "talk-1"
NOW = 1_790_000_000.5


def decided(talk: str, cookie: str = "", config: Config = CONFIG, now: float = NOW, **more: str) -> Decision:
    said = {"x-conversation-id": talk, "cookie": cookie, **{key.replace("_", "-"): text for key, text in more.items()}}
    headers = {name.encode(): [value.encode()] for name, value in said.items() if value}
    return Decider(config).decide(headers, now)


def cookie(release: str, talk: str = TALK, now: float = NOW, keep: Keep = KEEP) -> str:
    """What a client sends once this release has answered it."""
    (crumb,) = SimpleCookie(json.loads(notes(keep, SALT, talk, now))[release]).values()
    return f"{crumb.key}={crumb.value}"


def drawn(talk: str) -> str:
    return label(bucket_of(talk, SALT))


def test_a_new_conversation_goes_by_its_bucket_and_gets_a_note_of_each_release() -> None:
    found = decided(TALK)
    assert found.label == drawn(TALK)
    assert list(json.loads(found.notes)) == [KEEP.stable, KEEP.canary]
    assert all("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax" in note for note in json.loads(found.notes).values())
    assert TALK not in found.notes


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), min_size=1, max_size=200))
def test_a_conversation_ends_on_the_release_that_it_began_on_whatever_its_bucket(talk: str) -> None:
    # Bucket 00 is in every share but none; no bucket is in no share.
    assert decided(talk, cookie(KEEP.canary, talk)).label == "00"
    assert decided(talk, cookie(KEEP.stable, talk)).label == ""


def test_a_kept_conversation_has_the_tag_that_counts_whoever_speaks() -> None:
    only = Keep(KEEP.stable, KEEP.canary, "00_VIP", 3600)
    config = Config(SALT, conversation="X-Conversation-Id", tag_header="X-User-Tag", keep=only)
    assert decided(TALK, cookie(KEEP.canary), config).label == "00_VIP"


def test_once_a_canary_is_stable_its_conversations_stay_with_it_and_those_of_the_old_one_move() -> None:
    swapped = Config(SALT, conversation="X-Conversation-Id", keep=Keep(KEEP.canary, "", "00", 3600))
    assert decided(TALK, cookie(KEEP.canary), swapped).label == ""
    found = decided(TALK, cookie(KEEP.stable), swapped)
    assert found.label == drawn(TALK)
    assert list(json.loads(found.notes)) == [KEEP.canary]


def test_a_note_ends_when_its_conversation_has_rested_too_long() -> None:
    late = cookie(KEEP.canary, now=NOW - 3600)
    assert decided(TALK, late).label == drawn(TALK)
    assert decided(TALK, cookie(KEEP.canary, now=NOW - 3599)).label == "00"


@pytest.mark.parametrize(
    "forged",
    [
        cookie(KEEP.stable).replace(KEEP.stable, KEEP.canary),
        cookie(KEEP.canary, "another talk"),
        cookie(KEEP.canary, "another talk").replace(cookie_of("another talk", SALT), cookie_of(TALK, SALT)),
        cookie(KEEP.canary, now=NOW - 7200).replace("1789", "1799"),
        f"{cookie_of(TALK, SALT)}={KEEP.canary}",
        f"{cookie_of(TALK, SALT)}=9999999999.{KEEP.canary}.{'0' * 32}",
        f"{cookie_of(TALK, SALT)}=.{KEEP.canary}.é",
        f"{cookie_of(TALK, SALT)}=..",
        f"{cookie_of(TALK, SALT)}={'9' * 5000}.{KEEP.canary}.{'0' * 32}",
        f"{cookie(KEEP.canary)}; {cookie(KEEP.canary)}",
        cookie("v9-99999999", keep=Keep("v9-99999999", "", "00", 3600)),
    ],
)
def test_a_note_that_is_forged_lent_doubled_or_of_no_release_of_now_keeps_nothing(forged: str) -> None:
    assert decided(TALK, forged).label == drawn(TALK)


@given(st.text(max_size=300))
def test_no_note_is_an_error(note: str) -> None:
    assert kept(KEEP, SALT, TALK, note, NOW) == ""


def test_only_a_conversation_is_kept() -> None:
    assert decided("", x_user_id="ada") == Decision(label(bucket_of("ada", SALT)))
    assert decided(TALK, config=Config(SALT, conversation="X-Conversation-Id")) == Decision(drawn(TALK))
    assert decided("a" * 257) == Decision()


def test_a_tester_is_on_the_canary_and_not_kept() -> None:
    assert decided(TALK, cookie(KEEP.stable), x_serinus_tester="let-me-in") == Decision("tester")


def test_a_client_that_carries_many_notes_gets_no_more_of_new_conversations() -> None:
    many = "; ".join(cookie(KEEP.canary, f"other-{number}") for number in range(MOST_NOTES))
    assert decided(TALK, many) == Decision(drawn(TALK))
    assert decided(TALK, many.partition("; ")[2]).notes
    known = decided("other-0", many)
    assert (known.label, bool(known.notes)) == ("00", True)
