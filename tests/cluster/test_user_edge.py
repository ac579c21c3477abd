"""A stack that splits its users by buckets, with its own bucketers, by `pulumi up` alone."""

import time
from contextlib import ExitStack

import requests

from local import gateway
from local.places import GATEWAY_PORT, Network
from serinus.rollout.buckets import bucket_of
from tests.cluster.conftest import Project

SALT = "a salt for tests only"
USERS = [f"user-{number:03d}" for number in range(60)]
TALKS = [f"talk-{number:02d}" for number in range(20)]


def test_pulumi_up_moves_the_users_of_the_buckets_and_nobody_else(project: Project, network: Network) -> None:
    itself = {"gateway": f"{network.node}:{GATEWAY_PORT}", "gatewaySources": [f"{network.node}/32"]}
    keep = {"conversation": "X-Conversation-Id", "conversations": "keep"}
    split = {"by": "bucket", **itself, **keep, "image": "localhost/serinus-agent:local", "replicas": 1}
    project.write_settings(split=split, salt=SALT, weight=5)
    began: dict[str, str] = {}
    with ExitStack() as stack:
        clients = {talk: stack.enter_context(requests.Session()) for talk in TALKS}
        _grow(project, network, clients, began)
    assert len(set(began.values())) == 2


def _grow(project: Project, network: Network, clients: dict[str, requests.Session], began: dict[str, str]) -> None:
    for weight, pattern in ((5, "^0[0-4]$"), (20, "^[01][0-9]$")):
        assert project.stack.set("weight", str(weight)).ok
        result = project.stack.up()
        assert result.ok, result.output
        deadline = time.monotonic() + 60
        while gateway.matches_seen(project.name, "chat") != {("X-User-Bucket", pattern)}:
            assert time.monotonic() < deadline, gateway.matches_seen(project.name, "chat")
            time.sleep(0.05)
        answers = project.client().ask_all(USERS, ["hello"], concurrency=8)
        assert [answer for answer in answers if answer.failed] == []
        moved = {answer.user for answer in answers if answer.release.startswith("echo-v2-")}
        assert moved == {user for user in USERS if bucket_of(user, SALT) < weight}
        # Who talked before the share grew still talks to the same release: an ordinary client sends its cookies.
        for talk, client in clients.items():
            headers = {"Host": project.host, "X-Conversation-Id": talk}
            answer = client.post(f"{network.gateway}/chat", json={"prompt": "hello"}, headers=headers, timeout=30)
            assert answer.ok, answer.text
            release = answer.headers["X-Serinus-Release"]
            assert release.startswith("echo-v2-") == (bucket_of(talk, SALT) < 5)
            assert began.setdefault(talk, release) == release
