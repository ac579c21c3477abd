"""A step as a branch for a pull request: one commit with one changed line, and nothing of the work tree touched."""

import os
import subprocess
from pathlib import Path

import pytest

from local.errors import LocalError
from serinus.cli.promote.propose import branch_of, commit
from serinus.cli.promote.stackfile import StackFile

TEXT = "# the stack\nconfig:\n  serinus:ladder:\n    - weight: 5\n    - {weight: 100}\n  serinus:weight: 5  # now\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the project in a folder of it, and somebody's unfinished work."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    project = tmp_path / "infra"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: serinus\nconfig: {}\n")
    (project / "Pulumi.dev.yaml").write_text(TEXT)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "begin")
    (project / "unfinished").write_text("work")
    (project / "Pulumi.dev.yaml").write_text(TEXT.replace("5  # now", "0  # tried by hand"))
    git(tmp_path, "add", "infra/unfinished")
    return project


def propose(project: Path, weight: int = 20) -> str:
    branch = branch_of("chat", weight)
    commit(StackFile(project, "dev"), {"weight": weight}, branch, f"chat: canary {weight} %\n\nThe rules allow it.")
    return branch


def test_the_branch_has_one_commit_with_one_line(clone: Path) -> None:
    branch = propose(clone)
    assert branch == "serinus/chat-20"
    lines = git(clone, "diff", "--unified=0", "main", branch).splitlines()
    assert [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-  serinus:weight: 5  # now",
        "+  serinus:weight: 20  # now",
    ]
    assert git(clone, "log", "--format=%s|%b", f"main..{branch}").strip() == "chat: canary 20 %|The rules allow it."


def test_the_work_tree_its_index_and_its_branch_are_left_alone(clone: Path) -> None:
    before = git(clone, "status", "--porcelain=v2", "--branch")
    propose(clone)
    assert git(clone, "status", "--porcelain=v2", "--branch") == before


def test_a_branch_that_exists_is_not_overwritten(clone: Path) -> None:
    propose(clone)
    with pytest.raises(LocalError, match="serinus/chat-20 exists already") as told:
        propose(clone)
    assert told.value.remedy == "git branch -D serinus/chat-20"


def test_a_project_outside_of_git_is_told(clone: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").rename(tmp_path / "elsewhere")
    with pytest.raises(LocalError, match="git rev-parse") as told:
        propose(clone)
    assert "a clone" in told.value.remedy
