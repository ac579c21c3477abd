"""Users, not requests: every way to split them, through the real gateway, and every way to get around it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest

from local.places import Network
from serinus.rollout.buckets import bucket_of
from serinus.rollout.cut import cut_of
from serinus.rollout.routing import inner_host
from tests.cluster.conftest import Leaving
from tests.cluster.routed import SALT, Routed, routed, silent

USERS = [f"user-{number:03d}" for number in range(200)]
LADDER = (5, 20, 50, 100)


@pytest.fixture(scope="module")
def place(network: Network, leaving: Leaving) -> Iterator[Routed]:
    with ExitStack() as stack:
        yield stack.enter_context(routed(network, "routing"))
        leaving.later(stack.pop_all().close)


def canaries(place: Routed, requests: Mapping[str, Sequence[tuple[str, str]]]) -> set[str]:
    """Ask for each user; return those whom the canary answered. Everybody gets an answer."""
    answers = dict(zip(requests, place.ask_all(requests.values()), strict=True))
    assert {answer.status for answer in answers.values()} == {200}
    return {user for user, answer in answers.items() if answer.release == "echo-v2"}


def by_id(users: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    return {user: [("X-User-Id", user)] for user in users}


def in_buckets(weight: int) -> set[str]:
    return {user for user in USERS if bucket_of(user, SALT) < weight}


def test_buckets_grow_by_users_and_a_cut_leaves_nobody(place: Routed) -> None:
    for weight in LADDER:
        place.split(place.bucket(), weight)
        assert canaries(place, by_id(USERS)) == in_buckets(weight)
    place.split(place.bucket(), 50)
    assert place.live
    place.cut(cut_of(place.live["Ingress/chat-canary"].inputs["metadata"]["annotations"]))
    assert canaries(place, by_id(USERS)) == set()


def test_no_client_chooses_its_bucket(place: Routed) -> None:
    place.split(place.bucket(), 5)
    stable = next(user for user in USERS if bucket_of(user, SALT) >= 5)
    inner = inner_host("chat", place.name)
    forged = ("X-User-Bucket", "00")
    at_the_edge = [
        [forged],
        [("x-user-bucket", "00")],
        [("X-USER-BUCKET", "00")],
        [("X_User_Bucket", "00")],
        [("x_user_bucket", "00")],
        [forged, ("X-User-Bucket", "01")],
        [forged, ("X-User-Id", stable)],
        [forged, ("X-User-Id", stable), ("Connection", "X-User-Bucket")],
        [forged, ("X-User-Id", stable), ("X-User-Id", stable)],
        [("X-User-Bucket", "tester")],
        [("X-Serinus-Tester", "tester")],
        [("X-Forwarded-Host", inner), forged],
    ]
    assert {(answer.status, answer.release) for answer in place.ask_all(at_the_edge)} == {(200, "echo-v1")}
    node = place.network.node
    behind_it = [
        [forged],
        [forged, ("X-Forwarded-For", node)],
        [forged, ("X-Real-Ip", node), ("Forwarded", f"for={node}")],
    ]
    for headers in behind_it:
        assert place.ask(*headers, host=inner)[:2] == (403, "")
        assert place.ask(*headers, host=inner.upper())[:2] == (403, "")
        assert place.ask(*headers, url=f"{place.network.gateway}/.serinus/{place.name}/chat/bucket")[:2] == (403, "")


def test_whatever_becomes_of_the_bucketer_everybody_is_answered_by_the_stable_release(place: Routed) -> None:
    run = place.split(place.bucket(), 50)
    assert canaries(place, by_id(USERS[:40])) == in_buckets(50) & set(USERS[:40])
    place.stop_bucketer()
    assert canaries(place, by_id(USERS[:40])) == set()
    with silent(place.network.host) as port:
        place.serve("chat-bucketer", port)
        assert canaries(place, by_id(USERS[:5])) == set()
    place.serve("chat-bucketer", None)
    assert canaries(place, by_id(USERS[:40])) == set()
    place.start_bucketer(run)
    place.until(lambda: canaries(place, by_id(USERS[:40])) == in_buckets(50) & set(USERS[:40]))


def test_of_the_buckets_only_those_with_a_tag_and_testers_on_top(place: Routed) -> None:
    split = place.bucket(
        only={"values": ["VIP"]}, testerWord="let-me-in", cookie="uid", conversation="X-Conversation-Id"
    )
    place.split(split, 20, testers=["grace"])
    assert canaries(place, by_id(USERS)) == set()
    vips = {user: [("X-User-Id", user), ("X-User-Tag", "VIP")] for user in USERS}
    assert canaries(place, vips) == in_buckets(20)
    cookies = {user: [("Cookie", f"a=b; uid={user}"), ("X-User-Tag", "VIP")] for user in USERS[:40]}
    assert canaries(place, cookies) == in_buckets(20) & set(cookies)
    # All who speak in one conversation get the release that it has.
    (taken,) = sorted(in_buckets(20))[:1]
    talk = {user: [("X-Conversation-Id", taken), ("X-User-Id", user), ("X-User-Tag", "VIP")] for user in USERS[:40]}
    assert canaries(place, talk) == set(talk)
    testers = {
        "by id": [("X-User-Id", "grace")],
        "by header": [("X-Serinus-Tester", "let-me-in")],
        "by cookie": [("Cookie", "serinus-tester=let-me-in")],
        "by no word": [("X-Serinus-Tester", "let-me-out")],
    }
    assert canaries(place, testers) == {"by id", "by header", "by cookie"}


def test_a_kept_conversation_ends_where_it_began_until_a_cut(place: Routed) -> None:
    split = place.bucket(conversation="X-Conversation-Id", conversations="keep")
    talks = [f"talk-{number:03d}" for number in range(100)]
    carried: dict[str, str] = {}

    def turn(begun: Sequence[str]) -> dict[str, str]:
        """One more turn of these, each with what its answers have set; return who answered."""
        headers = [[("X-Conversation-Id", talk), ("Cookie", carried.get(talk, "a=b"))] for talk in begun]
        answers = dict(zip(begun, place.ask_all(headers), strict=True))
        assert {answer.status for answer in answers.values()} == {200}
        carried.update({talk: answer.cookie for talk, answer in answers.items()})
        return {talk: answer.release for talk, answer in answers.items()}

    place.split(split, 20)
    begun = turn(talks[:50])
    assert begun == {talk: "echo-v2" if bucket_of(talk, SALT) < 20 else "echo-v1" for talk in talks[:50]}
    for weight in (50, 100, 5):
        place.split(split, weight)
        assert turn(talks[:50]) == begun
        # Who begins now goes with the share, and so does who carries nothing.
        there = {talk for talk in talks[50:] if bucket_of(talk, SALT) < weight}
        assert {talk for talk, release in turn(talks[50:]).items() if release == "echo-v2"} == there
        for talk in talks[50:]:
            del carried[talk]
    assert place.live
    place.cut(cut_of(place.live["Ingress/chat-canary"].inputs["metadata"]["annotations"]))
    assert set(turn(talks[:50]).values()) == {"echo-v1"}
    place.split(split, 100)
    assert set(turn(talks[:50]).values()) == {"echo-v1"}


def test_leaving_the_buckets_loses_no_request(place: Routed) -> None:
    place.split(place.bucket(), 0)
    assert place.change({"by": "weight"}, 0) == []
    assert "Ingress/chat-edge" not in (place.live.resources if place.live else {})


@pytest.mark.parametrize(
    ("split", "header", "value", "base"),
    [
        ({"by": "tail", "header": "X-Account"}, "X-Account", "acct-{:02d}", 10),
        ({"by": "tail", "base": 16}, "X-User-Id", "9f3c-{:02X}", 16),
        ({"by": "tail", "only": {"values": ["VIP"]}}, "X-User-Id", "{:02d}_VIP", 10),
        ({"by": "cookie", "cookie": "uid"}, "Cookie", "theme=00; uid=x{:02d}; lang=00", 10),
    ],
)
def test_tails_grow_by_users_and_a_cut_leaves_nobody(
    place: Routed, split: dict[str, object], header: str, value: str, base: int
) -> None:
    everybody = {number: value.format(number) for number in range(base**2)}
    requests = {one: [(header, one)] for one in everybody.values()}
    for weight in (5, 20):
        place.split(split, weight)
        expected = {one for number, one in everybody.items() if number < round(base**2 * weight / 100)}
        assert canaries(place, requests) == expected
    assert place.live
    place.cut(cut_of(place.live["Ingress/chat-canary"].inputs["metadata"]["annotations"]))
    assert canaries(place, requests) == set()


def test_testers_come_on_top_of_a_weight(place: Routed) -> None:
    place.split({"by": "weight", "testerWord": "let-me-in"}, 5)
    tester = [("X-Serinus-Tester", "let-me-in")]
    assert [answer.release for answer in place.ask_all([tester] * 10)] == ["echo-v2"] * 10
    others = [answer.release for answer in place.ask_all([[("X-Serinus-Tester", "let-me-out")]] * 100)]
    # No least: a gateway that takes new routes in between begins to count anew.
    assert others.count("echo-v2") <= 10
    assert place.live
    place.cut(cut_of(place.live["Ingress/chat-canary"].inputs["metadata"]["annotations"]))
    assert {answer.release for answer in place.ask_all([tester] * 10)} == {"echo-v1"}
