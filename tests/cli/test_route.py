"""`serinus route` and `serinus buckets`, from the files of a stack and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from local.errors import LocalError
from serinus.cli.declared import read_stack
from serinus.cli.main import app
from serinus.rollout.buckets import bucket_of, label

SALT = "a salt of sixteen"
BUCKET = {"by": "bucket", "gateway": "gateway", "gatewaySources": ["10.0.0.0/24"], "image": "bucketer:1"}


def settings(project: Path, **config: object) -> None:
    own = {"stable": "v1", "canary": "v2", "weight": 5, **config}
    document = {"config": {f"serinus:{key}": value for key, value in own.items()}}
    (project / "Pulumi.try.yaml").write_text(yaml.safe_dump(document))


def run(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--stack", "try", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_user_is_told_the_release_at_each_step(project: Path) -> None:
    settings(project, split={"by": "tail"})
    told = run("route", "user-17")
    assert [(one["weight"], one["role"], one["now"]) for one in told["steps"]] == [
        (5, "stable", True),
        (20, "canary", False),
        (50, "canary", False),
        (100, "canary", False),
    ]
    assert told["because"] == "the id ends with '17'; on the canary from 18 % on"
    assert [one["release"].split("-")[0] for one in told["steps"]] == ["v1", "v2", "v2", "v2"]


def test_a_bucket_is_told_and_the_salt_is_not(project: Path) -> None:
    settings(project, split=BUCKET, salt=SALT)
    told = run("route", "ada")
    assert told["value"] == label(bucket_of("ada", SALT))
    assert SALT not in json.dumps(told)


def test_a_salt_per_release_deals_anew(project: Path) -> None:
    settings(project, split=BUCKET | {"saltPer": "release"}, salt=SALT)
    found = read_stack("try", project)
    assert found.declared.salt == f"{SALT}/{found.canary}"


def test_secrets_are_asked_of_the_engine_as_a_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"serinus:salt": SALT, "serinus:testers": '["ada", "grace"]'}
    engine = project / "bin" / "pulumi"
    engine.parent.mkdir()
    engine.write_text(
        f"#!/bin/sh\ncase $3 in\n{''.join(f'{key}) echo {text!r};;' for key, text in told.items())}\nesac\n"
    )
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{engine.parent}:/usr/bin:/bin")
    sealed = {"secure": "v1:abc"}
    settings(project, split=BUCKET, salt=sealed, testers=[sealed, sealed])
    declared = read_stack("try", project).declared
    assert (declared.salt, declared.testers) == (SALT, ("ada", "grace"))


def test_an_engine_that_tells_no_secret_is_told_with_the_command(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project))
    settings(project, split=BUCKET, salt={"secure": "v1:abc"})
    with pytest.raises(LocalError, match="the secret serinus:salt can't be read") as told:
        read_stack("try", project)
    assert told.value.remedy == "pulumi config get serinus:salt --stack try"


def test_the_steps_are_shown_as_the_gateway_matches_them(project: Path) -> None:
    settings(project, split={"by": "cookie", "cookie": "uid"}, ladder=[{"weight": 5}, {"weight": 100}])
    steps = run("buckets")["steps"]
    assert [(one["header"], one["users"]) for one in steps] == [("Cookie", 5), ("Cookie", 100)]
    shown = CliRunner().invoke(app, ["buckets", "--stack", "try"], catch_exceptions=False, env={"COLUMNS": "160"})
    assert "uid=[^;]*0[0-4]" in shown.stdout


def test_the_default_splits_requests(project: Path) -> None:
    settings(project)
    assert {one["role"] for one in run("route", "ada")["steps"]} == {"chance", "canary"}
    assert run("buckets")["steps"][0]["header"] == ""


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"split": {"by": "dice"}}, "the split can't be used: by: 'dice' is not allowed"),
        ({"ladder": []}, "the ladder or the weight can't be used"),
        ({"stable": "v9"}, "v9"),
    ],
)
def test_a_stack_that_cannot_be_read_says_why(project: Path, config: dict[str, object], told: str) -> None:
    settings(project, **config)
    with pytest.raises(LocalError, match=told):
        read_stack("try", project)


def test_a_stack_that_is_not_there_says_so(project: Path) -> None:
    with pytest.raises(LocalError, match="there is no stack nowhere"):
        read_stack("nowhere", project)
