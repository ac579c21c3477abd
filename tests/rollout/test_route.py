"""What is told of a user is what a real RE2 engine does with the header that the gateway sees."""

from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.buckets import bucket_of, label
from serinus.rollout.route import CANARY, CHANCE, STABLE, Declared, route, shares
from serinus.rollout.routing import Split
from tests.rollout.test_routing import BUCKET, WAYS

LADDER = (5, 20, 50, 100)
SALT = "a salt of sixteen"
USERS = [way for way in WAYS if not way.startswith("weight")]


def declared(way: str, **changes: Any) -> Declared:
    return Declared(Split.model_validate(WAYS[way]), LADDER, SALT, **changes)


@pytest.mark.parametrize("way", USERS)
@given(st.from_regex(r"[A-Za-z0-9-]{1,12}", fullmatch=True), st.sampled_from(["", "VIP", "eu"]))
def test_the_gateway_does_what_is_told(way: str, user: str, tag: str) -> None:
    told = route(declared(way), user, tag)
    for weight, _, pattern in shares(declared(way)):
        assert (told.roles[weight] == CANARY) == (re2.search(pattern, told.value) is not None)


@pytest.mark.parametrize("way", USERS)
@given(st.from_regex(r"[A-Za-z0-9-]{1,12}", fullmatch=True))
def test_nobody_is_moved_back_while_the_share_grows(way: str, user: str) -> None:
    roles = list(route(declared(way), user, "VIP").roles.values())
    assert roles == sorted(roles, key=[STABLE, CANARY].index)


def test_a_user_is_told_the_bucket_and_from_when_on() -> None:
    bucket = bucket_of("ada", SALT)
    told = route(declared("bucket"), "ada")
    assert told.value == label(bucket)
    assert told.because == f"bucket {label(bucket)}; on the canary from {bucket + 1} % on"


def test_who_lacks_the_tag_is_never_on_the_canary() -> None:
    told = route(declared("bucket and tag"), "ada", "us")
    assert set(told.roles.values()) == {STABLE}
    assert told.because.endswith("no share takes that: only eu or uk")
    assert route(declared("bucket and tag"), "ada", "eu").roles[100] == CANARY


def test_a_tester_is_on_the_canary_from_the_first_rung_on() -> None:
    told = route(declared("bucket", testers=("ada",)), "ada")
    assert (told.value, set(told.roles.values())) == ("tester", {CANARY})


def test_of_kept_conversations_it_is_said_that_those_that_run_stay() -> None:
    kept = Split.model_validate(BUCKET | {"conversation": "X-Conversation-Id", "conversations": "keep"})
    assert route(Declared(kept, LADDER, SALT), "talk-1").because.endswith("begun stays where it began")


def test_of_requests_nobody_can_tell() -> None:
    told = route(declared("weight"), "ada")
    assert list(told.roles.values()) == [CHANCE, CHANCE, CHANCE, CANARY]


def test_a_salt_is_not_shown() -> None:
    assert SALT not in repr(declared("bucket"))
    assert BUCKET["by"] == "bucket"
