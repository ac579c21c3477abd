"""Writes a step to a new Git branch, for a pull request. The work tree, its index and its branch are left alone."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from local.errors import LocalError
from serinus.cli.promote.stackfile import StackFile, Value

_SECONDS = 60.0


def branch_of(service: str, weight: int) -> str:
    """Return the name of the branch for a step."""
    return f"serinus/{service}-{weight}"


def commit(file: StackFile, changes: Mapping[str, Value], branch: str, message: str) -> None:
    """Commit the change of a stack's file, as it stands in HEAD, to a new branch. Raises LocalError."""
    top = Path(_git(file.folder, "rev-parse", "--show-toplevel").strip())
    path = file.path.resolve().relative_to(top.resolve()).as_posix()
    # What is in the work tree and not committed is none of the proposal's business.
    text = file.changed(changes, _git(top, "show", f"HEAD:{path}"))
    mode = _git(top, "ls-tree", "HEAD", path).split()[0]
    blob = _git(top, "hash-object", "-w", "--stdin", given=text).strip()
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        _git(top, "read-tree", "HEAD", environ=index)
        _git(top, "update-index", "--cacheinfo", f"{mode},{blob},{path}", environ=index)
        tree = _git(top, "write-tree", environ=index).strip()
    made = _git(top, "commit-tree", tree, "-p", "HEAD", given=message).strip()
    try:
        # The empty old value says that the branch must not exist yet.
        _git(top, "update-ref", "-m", message.partition("\n")[0], f"refs/heads/{branch}", made, "")
    except LocalError:
        raise LocalError(f"the branch {branch} exists already", remedy=f"git branch -D {branch}") from None


def _git(folder: Path, *words: str, given: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            env={**os.environ, **(environ or {})},
            # As bytes, so that the ends of lines stay what they are.
            input=None if given is None else given.encode(),
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except FileNotFoundError:
        raise LocalError("the program git is not on this machine") from None
    except subprocess.TimeoutExpired:
        raise LocalError(f"git {words[0]} took more than {_SECONDS:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise LocalError(f"git {words[0]}: {said}", remedy="--propose needs a clone with a commit.") from None
    return done.stdout.decode()
