"""The Pulumi engine for this checkout: the official one where the machine has it, else the one built here.

`build/bin` holds what a command needs on its PATH; `environment()` is the whole environment, also printed by
`serinus cluster env`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from local import golang
from local.places import BIN, KUBECONFIG, ROOT, STATE, cache

_STATE_STORE = STATE / "pulumi"
_PASSPHRASE = "serinus-local"  # noqa: S105 (it guards nothing: the dev stack holds no secret)


def official() -> str | None:
    """The path of an official engine (one with its own Python host beside it), or None.

    SERINUS_ENGINE=built says: use the built one even so.
    """
    found = shutil.which("pulumi", path=_path_without_ours())
    if found is None or os.environ.get("SERINUS_ENGINE") == "built":
        return None
    return found if (Path(found).resolve().parent / "pulumi-language-python").exists() else None


def install() -> None:
    """Lay out `build/bin`. Builds the engine and its provider first where that is needed."""
    BIN.mkdir(parents=True, exist_ok=True)
    _script("kubectl", f'exec "{golang.build(golang.KUBERNETES)}" kubectl "$@"')
    built = {"pulumi": golang.ENGINE, "pulumi-resource-kubernetes": golang.PROVIDER}
    if official():
        for name in (*built, "pulumi-language-python"):
            (BIN / name).unlink(missing_ok=True)
        return
    for name, program in built.items():
        _link(name, golang.build(program))
    # The host lies beside the engine, and only there.
    _script("pulumi-language-python", f'exec "{sys.executable}" -m local.language_host "$@"')


def environment() -> dict[str, str]:
    """What a shell needs to run `pulumi` and `kubectl` on the local cluster."""
    return {
        "PATH": f"{BIN}:{Path(sys.executable).parent}:{_path_without_ours()}",
        "KUBECONFIG": str(KUBECONFIG),
        "PULUMI_HOME": str(cache() / "pulumi-home"),
        "PULUMI_BACKEND_URL": f"file://{_STATE_STORE}",
        "PULUMI_CONFIG_PASSPHRASE": _PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "false" if official() else "true",
    }


def prepare_store() -> None:
    """The place of the stacks' state; it lives and ends with the cluster that it describes."""
    _STATE_STORE.mkdir(parents=True, exist_ok=True, mode=0o700)


def version() -> str:
    """The engine's version, for the record."""
    done = subprocess.run(
        ["pulumi", "version"], env={**os.environ, **environment()}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _path_without_ours() -> str:
    return ":".join(entry for entry in os.environ.get("PATH", "").split(":") if entry != str(BIN))


def _link(name: str, target: Path) -> None:
    (BIN / name).unlink(missing_ok=True)
    (BIN / name).symlink_to(target)


def _script(name: str, body: str) -> None:
    (BIN / name).unlink(missing_ok=True)
    (BIN / name).write_text(f"#!/bin/sh\n{body}\n")
    (BIN / name).chmod(0o755)


def shell_lines() -> list[str]:
    """`environment()` as lines for `eval`."""
    return [f"export {name}={json.dumps(value)}" for name, value in environment().items()]


__all__ = ["ROOT", "environment", "install", "official", "prepare_store", "shell_lines", "version"]
