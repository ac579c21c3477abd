"""`serinus render`, from the files of a stack and nothing else."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from local.errors import LocalError
from serinus.cli.main import app
from serinus.rollout.share import PATTERN

BUCKET = {"by": "bucket", "gateway": "gateway", "gatewaySources": ["10.0.0.0/24"], "image": "bucketer:1"}
ROUTE = ("--as", "httproute", "--gateway", "infra/web")


def render(project: Path, *words: str, **config: object) -> Any:
    own = {"stable": "v1", "canary": "v2", "weight": 5, "host": "chat.example.com", **config}
    document = {"config": {f"serinus:{key}": value for key, value in own.items()}}
    (project / "Pulumi.try.yaml").write_text(yaml.safe_dump(document))
    done = CliRunner().invoke(app, ["render", "--stack", "try", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return yaml.safe_load(done.stdout)


def backends(route: Any) -> list[list[str]]:
    return [[one["name"] for one in rule["backendRefs"]] for rule in route["spec"]["rules"]]


def test_the_stacks_own_weight_is_rendered_unless_another_is_named(project: Path) -> None:
    tail = {"split": {"by": "tail"}}
    assert render(project, **tail)[PATTERN] == "0[0-4]$"
    assert render(project, "--weight", "20", **tail)[PATTERN] == "[01][0-9]$"
    route = render(project, *ROUTE, **tail)
    assert (route["spec"]["hostnames"], backends(route)) == (["chat.example.com"], [["chat-v2"], ["chat-v1"]])


def test_a_stack_without_a_canary_has_all_users_on_the_stable_release(project: Path) -> None:
    assert backends(render(project, *ROUTE, canary="", weight=0)) == [["chat-v1"]]


def test_several_canaries_get_lanes_of_their_own(project: Path) -> None:
    several = ("--behind-proxy", "--canary", "v2=5/50", "--canary", "v3=10/50")
    route = render(project, *ROUTE, *several, split=BUCKET, salt="a salt of sixteen")
    assert backends(route) == [["chat-v2"], ["chat-v3"], ["chat-v1"]]
    assert [rule["matches"][0]["headers"][0]["value"] for rule in route["spec"]["rules"][:2]] == [
        "^0[0-4]$",
        "^5[0-9]$",
    ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--as", "httproute"), "hangs on a Gateway"),
        (("--canary", "v2=5/50", "--canary", "v3=5/50"), "give a host one canary"),
        (("--canary", "v2=5"), "is not RELEASE=SHARE/MOST"),
        (("--canary", "v2=5/50", "--canary", "v2=5/50"), "named twice"),
        (("--canary", "v2=5/60", "--canary", "v3=5/60"), "don't fit"),
        (("--canary", "v2=60/50", "--canary", "v3=5/50"), "does not fit into a lane of 50 %"),
    ],
)
def test_what_cannot_be_rendered_is_refused_with_the_reason(project: Path, words: tuple[str, ...], why: str) -> None:
    with pytest.raises(LocalError, match=why):
        render(project, *words)


def test_testers_of_several_canaries_are_refused(project: Path) -> None:
    with pytest.raises(LocalError, match="a tester would match every canary"):
        render(project, "--canary", "v2=5/50", "--canary", "v3=5/50", split={"by": "weight", "testerWord": "let-me-in"})
