"""Is every user routed as told, is nobody moved back or let in by a forged header, and what does the edge cost?

On the local cluster's API server and gateway, with the bucketer's program and without pods (tests/cluster/routed.py).
The last line is JSON. Of each figure that has a bar the bar stands in `bars`, and in `missed` those that are missed.

users, steps                each user is asked for at each step, and once more after a cut
misrouted                   another release than `serinus route` tells, or no answer
moved_back                  users who left the canary while the share grew
left_on_canary              users on the canary after the cut
share_off_points            the largest distance of a step's users from what the hash predicts
conversation_switches       conversations of 50 turns by three users that had two releases while the share stood
conversations_moved_twice   conversations that changed sides more than once while it grew to 100 %
kept_switches               conversations of 50 turns, begun at 20 %, that had two releases under `conversations: keep`,
                            while the share grew to 100 % and fell to 5 %; kept_on_canary of them began on the canary
kept_after_a_cut            of these, those that a cut left on the canary
spoofed, forged             forged requests that the canary answered, of how many
examples_misrouted          users of docs/routing.md's examples who got another release than `serinus route` tells
mode_changes, lost          changes of the way to split under requests, and the requests that got no 200
added_p50_ms, added_p99_ms  buckets against weight, requests in turn in one run
bucketer_*                  bench/bucketer.py, which says how

usage: python bench/routing.py [--users N] [--pairs N] [--seconds S]
"""

import argparse
import itertools
import json
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from bench import bucketer
from local import cluster, lock
from local.places import ROOT, Network
from serinus.rollout.buckets import bucket_of
from serinus.rollout.cut import cut_of
from serinus.rollout.route import CANARY, Declared, route
from serinus.rollout.routing import Split, inner_host
from tests.cluster.routed import SALT, Routed, routed

LADDER = (5, 20, 50, 100)
TURNS = 50
CONVERSATIONS = 40
_CONVERSATION = "X-Conversation-Id"
BARS = {
    "misrouted": 0,
    "moved_back": 0,
    "left_on_canary": 0,
    "share_off_points": 0.1,
    "conversation_switches": 0,
    "conversations_moved_twice": 0,
    "kept_switches": 0,
    "kept_after_a_cut": 0,
    "spoofed": 0,
    "examples_misrouted": 0,
    "lost": 0,
    "added_p50_ms": 1.0,
    "bucketer_p99_ms": bucketer.MOST_P99_MS,
}
"""What a figure may be at most."""
LEAST = {"bucketer_rps": bucketer.RATES[0]}
"""What a figure must be at least."""

Headers = Sequence[tuple[str, str]]


def grow(place: Routed, users: Sequence[str]) -> dict[str, float]:
    """Take the users through the ladder and a cut; count what should not be."""
    declared = Declared(Split.model_validate(place.bucket()), LADDER, SALT)
    told = {user: route(declared, user).roles for user in users}
    misrouted = moved_back = 0
    off = 0.0
    before: set[str] = set()
    for weight in LADDER:
        place.split(place.bucket(), weight)
        answers = place.ask_all([[("X-User-Id", user)] for user in users])
        there = {user for user, answer in zip(users, answers, strict=True) if answer.release == "echo-v2"}
        expected = ["echo-v2" if told[user][weight] == CANARY else "echo-v1" for user in users]
        misrouted += sum(answer[:2] != (200, one) for answer, one in zip(answers, expected, strict=True))
        moved_back += len(before - there)
        predicted = sum(bucket_of(user, SALT) < weight for user in users)
        off = max(off, 100 * abs(len(there) - predicted) / len(users))
        say(f"{weight} %: {len(there)} of {len(users)} users on the canary")
        before = there
    cut(place)
    left = sum(answer.release == "echo-v2" for answer in place.ask_all([[("X-User-Id", user)] for user in users]))
    return {"misrouted": misrouted, "moved_back": moved_back, "left_on_canary": left, "share_off_points": off}


def converse(place: Routed) -> dict[str, float]:
    """Hold conversations while the share stands and while it grows; count those that change sides."""
    split = place.bucket(conversation=_CONVERSATION)
    names = [f"conversation-{number}" for number in range(CONVERSATIONS)]
    had: dict[str, list[str]] = {name: [] for name in names}

    def speak(turns: int) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in names}
        for turn in range(turns):
            asked = [[(_CONVERSATION, name), ("X-User-Id", f"speaker-{turn % 3}")] for name in names]
            for name, answer in zip(names, place.ask_all(asked), strict=True):
                found[name].append(answer.release)
        return found

    place.split(split, 20)
    switches = sum(len(set(releases)) != 1 for releases in speak(TURNS).values())
    for weight in LADDER:
        place.split(split, weight)
        for name, releases in speak(TURNS // len(LADDER)).items():
            had[name] += releases
    twice = sum(sum(one != other for one, other in itertools.pairwise(releases)) > 1 for releases in had.values())
    return {"conversation_switches": switches, "conversations_moved_twice": twice}


def keep(place: Routed) -> dict[str, float]:
    """Hold kept conversations while the share grows and falls, and through a cut; count those that change sides."""
    split = place.bucket(conversation=_CONVERSATION, conversations="keep")
    had: dict[str, list[str]] = {f"conversation-{number}": [] for number in range(CONVERSATIONS)}
    carried = dict.fromkeys(had, "")

    def speak(turns: int) -> None:
        for turn in range(turns):
            asked = [
                [(_CONVERSATION, name), ("X-User-Id", f"speaker-{turn % 3}"), ("Cookie", carried[name])] for name in had
            ]
            for name, answer in zip(had, place.ask_all(asked), strict=True):
                had[name].append(answer.release)
                carried[name] = answer.cookie

    weights = (20, 50, 100, 20, 5)
    for weight in weights:
        place.split(split, weight)
        speak(TURNS // len(weights))
    switches = sum(len(set(releases)) != 1 for releases in had.values())
    there = sum(releases[0] == "echo-v2" for releases in had.values())
    assert 0 < there < CONVERSATIONS
    cut(place)
    speak(1)
    left = sum(releases[-1] != "echo-v1" for releases in had.values())
    return {"kept_switches": switches, "kept_on_canary": there, "kept_after_a_cut": left}


def spoof(place: Routed) -> dict[str, float]:
    """Count the forged requests that the canary answers."""
    place.split(place.bucket(), 5)
    numbers = (f"user-{number}" for number in range(10_000))
    honest = next(user for user in numbers if bucket_of(user, SALT) < 5)
    # Where an honest user of the canary's buckets did not get it, nothing would be proven by the others.
    assert place.ask(("X-User-Id", honest)).release == "echo-v2"
    stable = ("X-User-Id", next(user for user in numbers if bucket_of(user, SALT) >= 5))
    names = ("X-User-Bucket", "x-user-bucket", "X-USER-BUCKET", "x-UsEr-BuCkEt", "X_User_Bucket", "x_user_bucket")
    forged: list[Headers] = [[(name, value)] for name in names for value in ("00", "04", "tester", "always")]
    forged += [[(name, "00"), stable] for name in names]
    forged += [[(name, "00"), (name, "01")] for name in names]
    forged += [[(name, "00"), (name.swapcase(), "99"), stable] for name in names]
    forged += [[(name, "00"), ("X-User-Bucket", "01"), ("Connection", "X-User-Bucket")] for name in names]
    forged += [[("X-User-Id", honest), ("X-User-Id", stable[1])], [("X_User_Id", honest)]]
    answers = place.ask_all(forged)
    inner, node = inner_host("chat", place.name), place.network.node
    path = f"{place.network.gateway}/.serinus/{place.name}/chat/bucket"
    for headers in forged:
        answers += [place.ask(*headers, host=host) for host in (inner, inner.upper(), f"{inner}:80", f"{inner}.")]
        answers.append(place.ask(*headers, ("X-Forwarded-For", node), ("X-Real-Ip", node), host=inner))
        answers.append(place.ask(*headers, ("X-Forwarded-Host", inner), ("Forwarded", f"host={inner}")))
        answers.append(place.ask(*headers, host=inner, url=path))
    return {"spoofed": sum(answer.release == "echo-v2" for answer in answers), "forged": len(answers)}


def examples(place: Routed) -> dict[str, float]:
    """Declare each example of the documentation; count the users who get another release than told."""
    wrong = 0
    text = (ROOT / "docs" / "routing.md").read_text(encoding="utf-8")
    for example in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        written = yaml.safe_load(example)
        split = written["serinus:split"]
        if split["by"] == "bucket":
            split |= {key: place.bucket()[key] for key in ("gateway", "gatewaySources", "image")}
        testers = written.get("serinus:testers", [])
        place.split(split, 5, testers=testers)
        told = Declared(Split.model_validate(split), (5,), SALT, tuple(testers))
        wrong += len(misled(place, told))
    return {"examples_misrouted": wrong}


def misled(place: Routed, told: Declared) -> list[str]:
    """Return the users who got another release than `serinus route` tells."""
    split = told.split
    if split.by == "weight":
        asked = [[("X-Serinus-Tester", split.tester_word)]] * 20 if split.tester_word else []
        return [answer.release for answer in place.ask_all(asked) if answer.release != "echo-v2"]
    tags = ("", *(split.only.values if split.only else ()))
    users = [(f"user-{number:02x}", tag) for number in range(256) for tag in tags]
    users += [(user, "") for user in told.testers]
    expected = ["echo-v2" if route(told, *one).roles[5] == CANARY else "echo-v1" for one in users]
    assert {"echo-v1", "echo-v2"} <= set(expected)
    answers = place.ask_all([headers_of(split, *one) for one in users])
    return [
        f"{one}: {answer}"
        for one, answer, due in zip(users, answers, expected, strict=True)
        if answer[:2] != (200, due)
    ]


def headers_of(split: Split, user: str, tag: str) -> list[tuple[str, str]]:
    """Return what a user of this split sends, or the proxy before."""
    if split.by == "cookie":
        return [("Cookie", f"theme=00; {split.cookie}={user}")]
    if split.by == "tail":
        return [(split.header, f"{user}_{tag}" if tag else user)]
    return [(split.header, user), *([(split.only.header, tag)] if split.only and tag else [])]


def change(place: Routed) -> dict[str, float]:
    """Change the way to split, object by object and under requests; count those that got no 200."""
    tail, cookie = {"by": "tail"}, {"by": "cookie", "cookie": "uid"}
    ways: list[Mapping[str, Any]] = [tail, place.bucket(), {"by": "weight"}, place.bucket(), cookie]
    place.split({"by": "weight"}, 0)
    return {"mode_changes": len(ways), "lost": sum(len(place.change(way, 0)) for way in ways)}


def added(network: Network, pairs: int) -> dict[str, float]:
    """Return the milliseconds that the edge adds to the median and to the 99th percentile."""
    with routed(network, "bench-routing-a") as plain, routed(network, "bench-routing-b") as edged:
        plain.split({"by": "weight"}, 5)
        edged.split(edged.bucket(), 5)
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for number in range(pairs + 50):
            for through_the_edge in (False, True) if number % 2 else (True, False):
                place = edged if through_the_edge else plain
                answer = place.ask(("X-User-Id", f"user-{number}"))
                assert answer.status == 200, answer
                if number >= 50:
                    seconds[through_the_edge].append(answer.seconds)
    cuts = {edge: statistics.quantiles(found, n=100) for edge, found in seconds.items()}
    return {
        "added_p50_ms": round(1000 * (cuts[True][49] - cuts[False][49]), 2),
        "added_p99_ms": round(1000 * (cuts[True][98] - cuts[False][98]), 2),
    }


def cut(place: Routed) -> None:
    """Cut the canary, as the agent does."""
    assert place.live
    place.cut(cut_of(place.live["Ingress/chat-canary"].inputs["metadata"]["annotations"]))


def say(text: str) -> None:
    """Tell whoever waits, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure all and print."""
    parser = argparse.ArgumentParser(description="Who gets which release, and what it costs.")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each rate of the bucketer")
    given = parser.parse_args()
    report: dict[str, Any] = {"users": given.users, "steps": len(LADDER), **bucketer.measure(given.seconds)}
    with lock.held("make bench-routing"):
        network = cluster.up()
        say("what the edge adds")
        report |= added(network, given.pairs)
        with routed(network, "bench-routing") as place:
            say("users")
            report |= grow(place, [f"user-{number:05d}" for number in range(given.users)])
            for part in (converse, keep, spoof, examples, change):
                say(part.__name__)
                report |= part(place)
    missed = [name for name, most in BARS.items() if report[name] > most]
    missed += [name for name, least in LEAST.items() if report[name] < least]
    print(json.dumps({**report, "bars": BARS | LEAST, "missed": missed}))


if __name__ == "__main__":
    main()
