"""kubectl is asked in one way, and its own words reach the person. A program of the test's own stands in its place."""

import os
from pathlib import Path

import pytest

from local.errors import LocalError
from serinus.cli.kubectl import Reach, kubectl


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The stand-in: a shell script that says what it was asked."""
    found = tmp_path / "bin" / "kubectl"
    found.parent.mkdir()
    found.touch(mode=0o755)
    return found


def reach(program: Path, seconds: float = 20.0, alone: bool = True) -> Reach:
    path = f"{program.parent}:{os.environ['PATH']}"
    return Reach(("--context", "dev"), program.parent, {"PATH": path, "WHO": "ada"}, alone=alone, seconds=seconds)


def use(program: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_it_runs_where_and_as_it_is_told(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(program, monkeypatch, 'echo "$@"; echo "$WHO in $PWD"; cat')
    told = kubectl(reach(program), "apply", "-f", "-", what="trying", document={"kind": "Try"})
    assert told == f'--context dev apply -f -\nada in {program.parent}\n{{"kind": "Try"}}'


def test_a_context_is_enough(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(program, monkeypatch, 'echo "$@"')
    assert kubectl("prod", "get", "pods", what="trying") == "--context prod get pods\n"
    assert kubectl("", "get", "pods", what="trying") == "get pods\n"


def test_a_stack_names_namespace_kubeconfig_and_context(program: Path) -> None:
    at = Reach.by_settings({"namespace": "shop", "kubeconfig": "/etc/k", "context": "c"}, program.parent, {})
    assert at.flags == ("--namespace", "shop", "--request-timeout=10s", "--kubeconfig", "/etc/k", "--context", "c")


@pytest.mark.parametrize(
    ("script", "alone", "said"),
    [
        ("echo one >&2; echo two >&2; exit 1", True, "trying: two"),
        ("echo one >&2; echo two >&2; exit 1", False, "trying: one\ntwo"),
        ("exit 3", True, "trying: exit code 3"),
    ],
)
def test_a_failure_is_told_in_its_own_words(
    program: Path, monkeypatch: pytest.MonkeyPatch, script: str, alone: bool, said: str
) -> None:
    use(program, monkeypatch, script)
    with pytest.raises(LocalError) as caught:
        kubectl(reach(program, alone=alone), "get", what="trying", remedy="Try again.")
    assert (str(caught.value), caught.value.remedy) == (said, "Try again.")


def test_one_that_never_answers_is_given_up(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(program, monkeypatch, "exec sleep 60")
    with pytest.raises(LocalError, match=r"trying: kubectl gave no answer within 0.5 s"):
        kubectl(reach(program, seconds=0.5), "get", what="trying")


def test_a_missing_one_is_said_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match="kubectl is not on the PATH"):
        kubectl("", "get", what="trying")
