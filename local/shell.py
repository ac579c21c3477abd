"""Runs other programs: output to a log file, failure as an error that shows the end of that log."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.errors import LocalError


def run(
    argv: Sequence[str | Path],
    *,
    log: Path,
    what: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    remedy: str = "",
) -> None:
    """Run `argv` to its end with all its output appended to `log`; `env` is added to the environment.

    Raises LocalError, naming `what` failed, when the program is missing or exits with anything but 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        sink.write(f"$ {shlex.join(str(a) for a in argv)}\n".encode())
        sink.flush()
        try:
            done = subprocess.run(
                [str(a) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                check=False,
            )
        except FileNotFoundError:
            raise LocalError(f"{what}: the program {argv[0]} is not on this machine", remedy=remedy) from None
    if done.returncode != 0:
        raise LocalError(f"{what} failed with exit code {done.returncode}", remedy=remedy, log=log)


def output(argv: Sequence[str | Path], *, what: str, input: str | None = None, timeout: float = 60.0) -> str:
    """What `argv` prints. Raises LocalError with its own words when it fails or takes over `timeout` seconds."""
    try:
        done = subprocess.run(
            [str(a) for a in argv], input=input, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise LocalError(f"{what}: the program {argv[0]} is not on this machine") from None
    except subprocess.TimeoutExpired:
        raise LocalError(f"{what}: {argv[0]} gave no answer within {timeout:.0f} s") from None
    if done.returncode != 0:
        raise LocalError(f"{what}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
