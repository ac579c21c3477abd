"""The program with each way to split users, seen where the engine sees it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import re2
import yaml

from serinus.bucketer.config import Config
from serinus.bucketer.decide import Decider
from serinus.bucketer.keeping import Keep
from serinus.cli.declared import read_stack
from serinus.rollout.buckets import keyed
from serinus.rollout.route import Declared, route
from serinus.rollout.routing import Split
from serinus.rollout.share import BUCKET_HEADER, CANARY, HEADER, KEEP_HEADER, PATTERN, PREFIX, WEIGHT, share
from stacks.settings import SettingsError
from tests.stack.mocked_engine import ROOT, Run, run_program

SALT = "a salt of sixteen"
INNER = "chat.serinus.serinus.internal"
SPLIT: dict[str, object] = {
    "by": "bucket",
    "gateway": "10.0.3.4",
    "gatewaySources": ["10.0.3.4/32"],
    "image": "bucketer:1",
}
BUCKET = {"split": SPLIT, "salt": SALT}
Program = Callable[..., Run]


@pytest.fixture
def program(kubeconfig: Path) -> Program:
    def run(**changes: object) -> Run:
        base = {"kubeconfig": str(kubeconfig), "context": "here", "host": "chat.example.com"}
        return run_program(base | {"stable": "v1", "canary": "v2", "weight": 5} | changes)

    return run


def annotations(run: Run, name: str) -> dict[str, str]:
    found: dict[str, str] = run[f"Ingress/{name}"].inputs["metadata"]["annotations"]
    return {key.removeprefix(f"{PREFIX}/"): value for key, value in found.items()}


def host(run: Run, name: str) -> str:
    (rule,) = run[f"Ingress/{name}"].inputs["spec"]["rules"]
    return str(rule.get("host", ""))


def config(run: Run) -> Config:
    secret = run["Secret/chat-bucketer"].inputs["stringData"]["value"]
    found: dict[str, Any] = json.loads(secret["config.json"])
    keep = Keep(**found["keep"]) if found["keep"] else None
    return Config(**found | {"testers": tuple(found["testers"]), "keep": keep})


def test_a_tail_changes_only_what_the_canarys_ingress_says(program: Program) -> None:
    weight, tail = program(), program(split={"by": "tail"})
    assert weight.resources.keys() == tail.resources.keys()
    said = tail["Ingress/chat-canary"].inputs["metadata"]["annotations"]
    assert {key: said[key] for key in (CANARY, WEIGHT, HEADER, PATTERN)} == {
        CANARY: "true",
        WEIGHT: "0",
        HEADER: "X-User-Id",
        PATTERN: "0[0-4]$",
    }
    assert annotations(weight, "chat-stable") == annotations(tail, "chat-stable")


def test_buckets_are_matched_behind_an_edge_that_overwrites_what_clients_say(program: Program) -> None:
    run = program(**BUCKET)
    assert host(run, "chat-edge") == "chat.example.com"
    assert host(run, "chat-stable") == host(run, "chat-canary") == INNER
    edge = annotations(run, "chat-edge")
    assert edge["auth-url"] == "http://10.0.3.4/.serinus/serinus/chat/bucket"
    assert annotations(run, "chat-canary")["canary-by-header"] == BUCKET_HEADER
    assert edge["auth-response-headers"].split(",") == [BUCKET_HEADER, KEEP_HEADER]
    assert edge["upstream-vhost"] == INNER
    for name in ("chat-stable", "chat-canary"):
        assert annotations(run, name)["whitelist-source-range"] == "10.0.3.4/32"
        assert annotations(run, name)["upstream-vhost"] == "chat.example.com"
    assert run["Service/chat-gateway"].inputs["spec"]["externalName"] == "10.0.3.4"


def test_the_stable_release_answers_for_a_bucketer_that_does_not(program: Program) -> None:
    buckets = annotations(program(**BUCKET), "chat-buckets")
    assert buckets["default-backend"] == "chat-v1"
    assert buckets["custom-http-errors"] == "404,500,502,503,504"
    assert buckets["whitelist-source-range"] == "10.0.3.4/32"


def test_a_gateway_with_a_name_and_a_port_gets_a_rule_of_its_own(program: Program) -> None:
    split = SPLIT | {"gateway": "traefik.traefik.svc:8000"}
    run = program(**BUCKET | {"split": split})
    assert host(run, "chat-buckets") == "traefik.traefik.svc"
    assert annotations(run, "chat-edge")["auth-url"].startswith("http://traefik.traefik.svc:8000/")
    (port,) = run["Service/chat-gateway"].inputs["spec"]["ports"]
    assert port["port"] == port["targetPort"] == 8000


def test_the_edge_is_there_before_the_split_moves_behind_it(program: Program) -> None:
    run = program(**BUCKET)
    for name in ("chat-stable", "chat-canary"):
        assert run.depends_on(f"Ingress/{name}", "Ingress/chat-edge")
    assert run.depends_on("Ingress/chat-buckets", "Deployment/chat-bucketer")
    assert run.depends_on("Deployment/chat-bucketer", "Secret/chat-bucketer")


def test_behind_the_edge_the_stable_release_stands_for_a_split_that_is_not_there(program: Program) -> None:
    run = program(**BUCKET)
    spec = run["Ingress/chat-behind"].inputs["spec"]
    # A rule without a path: the split's own goes before it.
    assert spec["rules"] == [{"host": INNER}]
    assert spec["defaultBackend"]["service"]["name"] == "chat-v1"
    assert annotations(run, "chat-behind")["whitelist-source-range"] == "10.0.3.4/32"
    # It comes before the edge, and so it goes after it.
    assert run.depends_on("Ingress/chat-edge", "Ingress/chat-behind")


def test_a_step_changes_the_pattern_and_restarts_no_bucketer(program: Program) -> None:
    before, after = program(**BUCKET), program(**BUCKET, weight=20)
    changed = {key for key in before.resources if before[key].inputs != after[key].inputs}
    assert changed == {"Ingress/chat-canary"}
    assert annotations(after, "chat-canary")["canary-by-header-pattern"] == "^[01][0-9]$"


def test_a_salt_per_release_deals_anew_for_each_canary_and_restarts_the_bucketer(program: Program) -> None:
    split = SPLIT | {"saltPer": "release"}
    one, other = (program(**BUCKET | {"split": split, "weight": 0}, canary=canary) for canary in ("v2", "echo-v2"))
    assert config(one).salt != config(other).salt
    assert config(one).salt.startswith(f"{SALT}/v2-")
    template = "Deployment/chat-bucketer"
    assert one[template].inputs != other[template].inputs


def test_the_bucketer_keeps_conversations_on_the_releases_that_users_can_be_on_now(program: Program) -> None:
    keep = {"conversation": "X-Conversation-Id", "conversations": "keep", "keepMinutes": 5, "only": {"values": ["VIP"]}}
    split = SPLIT | keep
    trial, swapped = (
        program(**BUCKET | {"split": split, "weight": 0}, stable=stable, canary=canary)
        for stable, canary in (("v1", "v2"), ("v2", ""))
    )
    found, later = config(trial).keep, config(swapped).keep
    assert found
    assert later
    assert (found.label, found.seconds) == ("00_VIP", 300)
    assert found.stable.startswith("v1-")
    assert found.canary == later.stable
    assert later.canary == ""
    assert config(program(**BUCKET)).keep is None


def test_testers_are_kept_as_keyed_hashes(program: Program) -> None:
    run = program(**BUCKET, testers=["ada"])
    assert config(run).testers == (keyed("ada", SALT).hex(),)
    assert annotations(run, "chat-canary")["canary-by-header-pattern"].startswith("^tester$|")
    assert '"ada"' not in json.dumps([one.inputs for one in run.resources.values()], default=str)


def test_the_salt_is_in_the_secret_alone(program: Program) -> None:
    run = program(**BUCKET)
    told = {key for key, one in run.resources.items() if SALT in json.dumps(one.inputs, default=str)}
    assert told == {"Secret/chat-bucketer"}


def test_the_guard_knows_both_hosts(program: Program) -> None:
    run = program(**BUCKET, guard=True)
    text = json.dumps(run["ValidatingAdmissionPolicy/ingresses.chat.serinus.serinus.dev"].inputs)
    assert f"['chat.example.com', '{INNER}']" in text


EXAMPLES = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "routing.md").read_text(encoding="utf-8"), re.DOTALL)


def test_every_way_has_an_example() -> None:
    assert {yaml.safe_load(one)["serinus:split"]["by"] for one in EXAMPLES} == {"weight", "tail", "cookie", "bucket"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_documentation_takes_whom_serinus_route_tells(
    program: Program, tmp_path: Path, example: str
) -> None:
    written = yaml.safe_load(example)
    run = program(**{key.removeprefix("serinus:"): value for key, value in written.items()})
    said = run["Ingress/chat-canary"].inputs["metadata"]["annotations"]
    assert share(said) == 5
    told = _told(tmp_path, written)
    split = told.split
    users = [f"user-{number:03d}" for number in range(100)] + [f"9F3C-{number:02x}" for number in range(0, 256, 3)]
    canaries = 0
    for user in (*users, *told.testers):
        for tag in ("", *(split.only.values if split.only else ())):
            role = route(told, user, tag).roles[5]
            takes = re2.search(said[PATTERN], _value(run, split, user, tag)) if split.by != "weight" else None
            assert role == ("chance" if split.by == "weight" else "canary" if takes else "stable"), (user, tag)
            canaries += role == "canary"
    assert (canaries > 0) == (split.by != "weight")


def _told(folder: Path, written: dict[str, object]) -> Declared:
    """What `serinus route` reads of a stack with these settings."""
    (folder / "Pulumi.yaml").symlink_to(ROOT / "Pulumi.yaml")
    (folder / "releases").symlink_to(ROOT / "releases")
    own = {"serinus:stable": "v1", "serinus:canary": "v2", "serinus:weight": 5}
    (folder / "Pulumi.try.yaml").write_text(yaml.safe_dump({"config": own | written}))
    return read_stack("try", folder).declared


def _value(run: Run, split: Split, user: str, tag: str) -> str:
    """What the gateway sees of a user in the header that it matches."""
    if split.by == "cookie":
        return f"theme=00; {split.cookie}={user}; lang=00"
    if split.by == "tail":
        return f"{user}_{tag}" if tag else user
    headers = {split.header.lower().encode(): [user.encode()]}
    if split.only and tag:
        headers[split.only.header.lower().encode()] = [tag.encode()]
    return Decider(config(run)).decide(headers, 0).label


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"split": BUCKET["split"]}, "split by: bucket needs serinus:salt"),
        ({"salt": SALT}, "salt and testers have no use with split by: weight"),
        ({"testers": ["ada"]}, "salt and testers have no use with split by: weight"),
        ({"split": {"by": "tail", "digits": 1}}, "5 % of 10 tails can't be had within 0.1 points; use a tail of more"),
        ({"split": "tail"}, "it is no mapping"),
        ({"split": {"by": "tail", "header": "X Y"}}, "split.header: 'X Y' is not allowed"),
    ],
)
def test_a_split_that_cannot_be_had_stops_before_anything_changes(
    program: Program, changes: dict[str, object], told: str
) -> None:
    with pytest.raises((pulumi.RunError, SettingsError), match=told):
        program(**changes)
