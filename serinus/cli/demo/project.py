"""The demo's own project: links to this checkout, and a stack file of its own in build/.

The demo moves weights, swaps releases and breaks one. None of that belongs into a file that somebody commits, nor into
the namespace of somebody's stack.
"""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from local import places
from local.errors import LocalError
from local.places import Network
from serinus.cli.demo.results import Told
from serinus.cli.promote.engine import LockHolder, locked
from serinus.cli.promote.stackfile import StackFile, Value
from serinus.cli.stack import Result, Stack
from serinus.rollout.profile import PROFILES
from serinus.rollout.yaml_text import read_yaml

FOLDER = places.BUILD / "demo"
STACK = "demo"
NAMESPACE = "serinus-demo"
LOG = places.BUILD / "logs" / "demo-pulumi.log"
_PARTS = ("Pulumi.yaml", "__main__.py", "stacks", "components", "serinus", "policies", "releases", ".venv")
# The demo sends few requests. Eight good answers show that not half of them fail; below 5 % it would take a hundred.
_OBJECTIVES = {"errors": {"limit": 0.5}}
# So long does a promoter wait for a verdict before the demo says that none came.
_PATIENCE_SECONDS = 300


class Names(NamedTuple):
    """What the demo releases, and where."""

    service: str
    host: str
    context: str
    stable: str
    canary: str


class Project:
    """The demo's project. `network` is the local cluster's, None on one of the user's own."""

    def __init__(self, base: str, network: Network | None) -> None:
        """`base` is the stack whose settings say where the cluster is. Raises LocalError where they can't be used."""
        self._base = base
        self._network = network
        self._start = self._settings()
        self.names = self._names()
        _link()
        file = FOLDER / f"Pulumi.{STACK}.yaml"
        if not file.exists():
            _write(file, self._start)
        self.file = StackFile(FOLDER, STACK)
        # What the demo deploys is no release of anybody's: strict rules about images and GPUs would say nothing of it.
        self._policies = base if (places.ROOT / "policies" / f"{base}.json").exists() else "dev"
        self.stack = Stack(FOLDER, STACK, {}, self._policies, LOG)

    def begin(self) -> Result:
        """Bring the stack to the demo's beginning, from wherever the last demo left it; return the last update."""
        require(self.stack.select(), "choosing the stack")
        if self._network is None:  # the local cluster came up with it
            serinus("install-crd", *self._context())
        # A hold is the last demo's; a cluster without any has nothing to resume, and says so.
        serinus("resume", self.names.service, *self.place(), "--by", "demo", "--reason", "a demo begins", ok=(0, 1))
        # Every change of it lowers a weight or goes back: nothing that is asked for evidence.
        last = self.file.text()
        _write(self.file.path, self._start)
        done = self._up()
        if not done.ok:
            # Other releases, or somebody's hand. The guard lets no live canary be deleted, so its weight goes first.
            self.file.write(last)
            self.stack.set("weight", "0")
            self._up()
            require(self.stack.destroy(), "taking the last demo's stack away")
            _write(self.file.path, self._start)
            done = self._up()
        return require(done, "`pulumi up` of both releases")

    def move(self, weight: int) -> Result:
        """`pulumi config set serinus:weight N`, `pulumi up`."""
        require(self.stack.set("weight", str(weight)), f"setting the weight to {weight}")
        return require(self.stack.up(), f"`pulumi up` at weight {weight}")

    def change(self, changes: Mapping[str, Value], what: str) -> Result:
        """Change settings and update. Raises LocalError where it fails."""
        self.file.write(self.file.changed(changes))
        return require(self.stack.up(), what)

    def begin_ladder_at(self, weight: int) -> None:
        """Leave out the rungs below `weight`, from the next update on."""
        document = read_yaml(self.file.text())
        rungs = [dict(rung) for rung in PROFILES["fast"] if int(rung["weight"]) >= weight]
        document["config"][f"{self.file.project}:ladder"] = rungs
        _write(self.file.path, document)

    def promote(self, *flags: str, ok: tuple[int, ...] = (0,)) -> list[Told]:
        """Run `serinus promote demo` to its end; return what it told. Raises LocalError for another exit code."""
        words = ("promote", STACK, "--policies", self._policies, "--within", str(_PATIENCE_SECONDS), "--json", *flags)
        said = serinus(*words, ok=ok)
        return [Told.of(json.loads(line)) for line in said.splitlines() if line.startswith("{")]

    def wait_for_the_agent(self) -> None:
        """Wait until the agent has seen what is declared, and says that the first rung is allowed."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        words = ("status", self.names.service, *self.place())
        while (done := run(*words)).returncode != 0:
            if time.monotonic() > deadline:
                _note(words, done)
                raise LocalError("the agent does not let the canary rise from 0", log=LOG)
            time.sleep(0.5)

    def place(self) -> tuple[str, ...]:
        """The words of a command that say where the service is."""
        return ("-n", NAMESPACE, *self._context())

    def policy_words(self) -> str:
        """The options of `pulumi up` in the demo's folder for the pack and its configuration."""
        return f"--policy-pack policies --policy-pack-config policies/{self._policies}.json"

    def _context(self) -> tuple[str, ...]:
        return ("--context", self.names.context) if self.names.context else ()

    def _up(self) -> Result:
        """Update. Clear up after a demo that was killed: wait for what of it still runs, forget what is dead."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            done = self.stack.up()
            if "currently locked" not in done.output:
                return done
            holder = locked(done.output, os.uname().nodename).holder
            if holder is LockHolder.DEAD:
                require(self.stack.pulumi("cancel", "--yes", "--stack", STACK), "taking a dead update's lock away")
                words = ("refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--stack", STACK)
                require(self.stack.pulumi(*words, timeout=300), "looking at what a killed update has left")
            elif holder is LockHolder.ELSEWHERE or time.monotonic() > deadline:
                return done
            else:
                time.sleep(1.0)

    def _names(self) -> Names:
        found = {"service": "chat", "context": "", **_own(self._start)}
        for key in Names._fields:
            if not found.get(key) and key != "context":
                raise LocalError(
                    f"Pulumi.{self._base}.yaml has no serinus:{key}; the demo needs it",
                    remedy=f"pulumi config set serinus:{key} … --stack {self._base}",
                )
        return Names(**{key: str(found[key]) for key in Names._fields})

    def _settings(self) -> dict[str, Any]:
        """The stack file at the demo's beginning: where the cluster is comes from the base's, the rest is its own."""
        path = places.ROOT / f"Pulumi.{self._base}.yaml"
        if not path.exists():
            raise LocalError(
                f"there is no Pulumi.{self._base}.yaml", remedy="Name a stack of this folder with --stack."
            )
        document: dict[str, Any] = read_yaml(path.read_text(encoding="utf-8")) or {}
        config = document.setdefault("config", {})
        before = FOLDER / f"Pulumi.{STACK}.yaml"
        known = read_yaml(before.read_text(encoding="utf-8"))["config"] if before.exists() else {}
        own: dict[str, object] = {
            "namespace": NAMESPACE,
            "host": f"demo.{config.get('serinus:host', '')}",
            "weight": 0,
            "previous": "",
            "ladder": "fast",
            "objectives": _OBJECTIVES,
            "guard": True,
            "split": {"by": "weight"},
        }
        if self._network is not None:
            own["agent"] = True
            # It guards a demo, and stands in a folder that nobody commits; a new one would change the stack each time.
            own["agentToken"] = known.get("serinus:agentToken") or secrets.token_hex(16)
        elif not config.get("serinus:agent"):
            raise LocalError(
                f"Pulumi.{self._base}.yaml has no serinus:agent; the demo is about what an agent sees",
                remedy="Set it as docs/agent.md says.",
            )
        if config.get("serinus:kubeconfig"):
            given = Path(str(config["serinus:kubeconfig"])).expanduser()
            own["kubeconfig"] = str(places.ROOT / given)
        config.update({f"serinus:{key}": value for key, value in own.items()})
        return document


def serinus(*words: str, ok: tuple[int, ...] = (0,)) -> str:
    """Run one command as a person would; return what it printed. Raises LocalError for another exit code."""
    done = run(*words)
    _note(words, done)
    if done.returncode not in ok:
        raise LocalError(f"`serinus {words[0]}` ended with exit code {done.returncode}", log=LOG)
    return done.stdout


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run one command in the demo's project, whatever becomes of it."""
    program = Path(sys.executable).parent / "serinus"
    return subprocess.run(
        [program, *words], cwd=FOLDER, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _note(words: tuple[str, ...], done: "subprocess.CompletedProcess[str]") -> None:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ serinus {' '.join(words)}\n{done.stdout}{done.stderr}[exit {done.returncode}]\n\n")


def require(result: Result, what: str) -> Result:
    """Return a result that is well. Raises LocalError otherwise."""
    if not result.ok:
        held = "currently locked" in result.output
        # The engine can't know whether the update that took the lock still runs; a person can.
        remedy = (
            f"if no other update runs, end the killed one: pulumi cancel --stack {STACK}; try again" if held else ""
        )
        raise LocalError(f"{what} failed with exit code {result.code}", log=LOG, remedy=remedy)
    return result


def _link() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for part in _PARTS:
        link, target = FOLDER / part, places.ROOT / part
        if target.exists() and not (link.is_symlink() and link.readlink() == target):
            link.unlink(missing_ok=True)
            link.symlink_to(target)


def _own(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("serinus:"): value for key, value in document["config"].items()}


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the file as a whole; only its owner may read it, for the token."""
    part = path.with_name(f".{path.name}.part")
    part.touch(mode=0o600)
    part.write_text("# Written by `serinus demo`, at each of its beginnings.\n" + yaml.safe_dump(dict(document)))
    part.replace(path)
