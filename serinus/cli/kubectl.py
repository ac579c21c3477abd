"""kubectl, with the credentials and the context of whoever runs `serinus`.

What a person may do to the cluster is the cluster's decision; a client of our own would only be a second way to ask.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import typer

from local.errors import LocalError

Context = Annotated[str, typer.Option("--context", help="A context of the kubeconfig; the current one by default.")]

_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Reach:
    """How a cluster is reached.

    flags: those that stand before every command. folder, environ: where and with what kubectl runs; None: as we do.
    alone: nobody can be asked for a password, and a Ctrl-C of the terminal is not for kubectl.
    seconds: how long one command may take.
    """

    flags: tuple[str, ...] = ()
    folder: Path | None = None
    environ: Mapping[str, str] | None = None
    alone: bool = False
    seconds: float = _SECONDS

    @classmethod
    def by_context(cls, context: str) -> Self:
        """Reach it as a person does who names a context of the kubeconfig, or none."""
        return cls(("--context", context) if context else ())

    @classmethod
    def by_settings(cls, settings: Mapping[str, Any], folder: Path, environ: Mapping[str, str]) -> Self:
        """Reach a stack's namespace as its settings say; `folder` is the project's."""
        flags = ["--namespace", str(settings.get("namespace", "")), "--request-timeout=10s"]
        if settings.get("kubeconfig"):
            flags += ["--kubeconfig", str(Path(str(settings["kubeconfig"])).expanduser())]
        if settings.get("context"):
            flags += ["--context", str(settings["context"])]
        return cls(tuple(flags), folder, dict(environ), alone=True, seconds=20.0)


def kubectl(
    at: Reach | str, *words: str, what: str, remedy: str = "", document: Mapping[str, Any] | None = None
) -> str:
    """Run one command and return what it prints; `document` is its input, `at` may be a context.

    Raises LocalError, which begins with `what` and holds kubectl's own words.
    """
    reach = Reach.by_context(at) if isinstance(at, str) else at
    try:
        done = subprocess.run(
            ["kubectl", *reach.flags, *words],
            cwd=reach.folder,
            env=None if reach.environ is None else dict(reach.environ),
            input=None if document is None else json.dumps(document),
            stdin=subprocess.DEVNULL if document is None and reach.alone else None,
            capture_output=True,
            text=True,
            timeout=reach.seconds,
            check=False,
            start_new_session=reach.alone,
        )
    except FileNotFoundError:
        raise LocalError(f"{what}: kubectl is not on the PATH", remedy="Install it, or run `make up`.") from None
    except subprocess.TimeoutExpired:
        raise LocalError(f"{what}: kubectl gave no answer within {reach.seconds:g} s", remedy=remedy) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        # Before its last line a kubectl that reaches nobody repeats itself for the log.
        raise LocalError(f"{what}: {said.splitlines()[-1] if reach.alone else said}", remedy=remedy)
    return done.stdout
