"""A Pulumi stack as a person drives it: `pulumi config set`, `pulumi up`, `pulumi preview`.

The program is run, not an API of it: what the demo and the tests do can be typed by hand.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import engine, places
from serinus.cli.pack import pack_configuration
from serinus.cli.scratch import scratch
from serinus.rollout.yaml_text import read_yaml


def project_folder() -> Path:
    """The project that a command is about: the one of the current directory, else this checkout."""
    here = Path.cwd()
    return here if (here / "Pulumi.yaml").exists() else places.ROOT


def environment(settings: Path) -> dict[str, str]:
    """What reaches the local cluster, for a stack whose settings file names it; nothing for any other."""
    if not settings.exists():
        return {}
    config = (read_yaml(settings.read_text(encoding="utf-8")) or {}).get("config") or {}
    return engine.environment() if config.get("serinus:context") == places.CONTEXT else {}


@dataclass(frozen=True)
class Result:
    """What one command of the engine did: exit code, everything it printed, wall seconds."""

    code: int
    output: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.code == 0

    def lines_about(self, *words: str) -> list[str]:
        """The printed lines that hold one of `words`, stripped."""
        return [line.strip() for line in self.output.splitlines() if any(word in line for word in words)]


class Stack:
    """One stack of the project in `folder`, driven with the project's policy pack.

    `environment` is added to the process's own for each command. `policies` names the pack's configuration, as
    `serinus.cli.pack` says; LocalError where it has no file.
    """

    def __init__(self, folder: Path, name: str, environment: Mapping[str, str], policies: str, log: Path) -> None:
        self.folder = folder
        self.name = name
        self.log = log
        self._environment = {**os.environ, **environment}
        config = pack_configuration(folder, policies, name)
        self._policies = [
            "--policy-pack",
            str(folder / "policies"),
            *(["--policy-pack-config", str(config)] if config else []),
        ]

    def select(self) -> Result:
        """Make the stack the current one of the project; create it where it does not exist."""
        return self.pulumi("stack", "select", "--create", self.name)

    def set(self, key: str, value: str) -> Result:
        """Write one setting of the project's namespace to the stack's file."""
        return self.pulumi("config", "set", f"serinus:{key}", value, "--stack", self.name)

    def unset(self, key: str) -> Result:
        return self.pulumi("config", "rm", f"serinus:{key}", "--stack", self.name)

    def preview(self, *flags: str) -> Result:
        return self.pulumi("preview", "--stack", self.name, *self._policies, *flags, timeout=300)

    def up(self, *flags: str) -> Result:
        """Update without a preview of its own: the fast path of a changed weight."""
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", self.name, *self._policies, *flags, timeout=900)

    def destroy(self) -> Result:
        return self.pulumi("destroy", "--yes", "--skip-preview", "--stack", self.name, timeout=600)

    def resources(self) -> list[dict[str, object]]:
        """The resources that the stack's state knows."""
        exported = self.pulumi("stack", "export", "--stack", self.name)
        found: list[dict[str, object]] = json.loads(exported.output)["deployment"].get("resources", [])
        return found

    def pulumi(self, *words: str, timeout: float = 120.0) -> Result:
        """Run one command of the engine to its end, or interrupt it after `timeout` seconds. It is logged."""
        started = time.monotonic()
        with self.start(*words) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                # The engine takes one interrupt as the wish to end cleanly: state written, lock given back.
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate()
        result = Result(process.returncode, output, time.monotonic() - started)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            log.write(f"$ pulumi {' '.join(words)}\n{result.output}[exit {result.code}, {result.seconds:.1f} s]\n\n")
        return result

    @contextmanager
    def start(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Start one command of the engine; its output, errors included, is to be read from the process.

        The block ends with the process; its temporary files go too.
        """
        with (
            scratch() as own,
            subprocess.Popen(
                ["pulumi", "--non-interactive", "--color", "never", *words],
                cwd=self.folder,
                env={**self._environment, **own.environment},
                pass_fds=own.pass_fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            yield process
