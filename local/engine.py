"""The Pulumi engine for this checkout: the official one where the machine has it, else the one built here.

`build/bin` holds what a command needs on its PATH; `environment()` is the whole environment, also printed by
`serinus cluster env`.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from local import golang
from local.places import BIN, BUILD, KUBECONFIG, STATE, cache

_STATE_STORE = STATE / "pulumi"
_ENGINE = BUILD / "engine"
_HOME = cache() / "pulumi-home"
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
    """Lay out `build/bin`. Builds Kubernetes, the engine and its provider first where that is needed."""
    BIN.mkdir(parents=True, exist_ok=True)
    _script(BIN / "kubectl", f'exec "{golang.build(golang.KUBERNETES)}" kubectl "$@"')
    (BIN / "pulumi").unlink(missing_ok=True)
    if official():
        return
    # The engine looks for its language host beside its own file, so it needs a folder of this checkout's own; and for a
    # provider of the right version in its home. On the PATH either would work too, with a warning at each command.
    _ENGINE.mkdir(parents=True, exist_ok=True)
    _copy(golang.build(golang.ENGINE), _ENGINE / "pulumi")
    _script(_ENGINE / "pulumi-language-python", f'exec "{sys.executable}" -m local.language_host "$@"')
    (BIN / "pulumi").symlink_to(_ENGINE / "pulumi")
    provider = _HOME / "plugins" / f"resource-kubernetes-v{golang.PROVIDER_VERSION}" / golang.PROVIDER.name
    provider.parent.mkdir(parents=True, exist_ok=True)
    _copy(golang.build(golang.PROVIDER), provider)


def environment() -> dict[str, str]:
    """What a shell needs to run `pulumi` and `kubectl` on the local cluster."""
    settings = {
        "PATH": f"{BIN}:{Path(sys.executable).parent}:{_path_without_ours()}",
        "KUBECONFIG": str(KUBECONFIG),
        # By default the store keeps the attributes of each file in a second one, written in place. An engine killed
        # meanwhile leaves that one empty, and every later command ends with "failed to load checkpoint: EOF".
        "PULUMI_BACKEND_URL": f"file://{_STATE_STORE}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": _PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Where this is set, every command would compile the program and the policy pack again: two seconds.
        "PYTHONDONTWRITEBYTECODE": "",
    }
    if not official():
        # A machine that had to build its engine can't download plugins either; say so at once.
        settings |= {"PULUMI_HOME": str(_HOME), "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
    return settings


def prepare_store() -> None:
    """The place of the stacks' state; it lives and ends with the cluster that it describes."""
    _STATE_STORE.mkdir(parents=True, exist_ok=True, mode=0o700)
    for attributes in _STATE_STORE.rglob("*.attrs"):  # an older version kept them, and half of one blocks its stack
        attributes.unlink()


def _path_without_ours() -> str:
    return ":".join(entry for entry in os.environ.get("PATH", "").split(":") if entry != str(BIN))


def _copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`; a copy where the two lie on different disks."""
    wanted = source.stat()
    if target.exists() and (target.stat().st_size, target.stat().st_mtime) == (wanted.st_size, wanted.st_mtime):
        return
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _script(path: Path, body: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def shell_lines() -> list[str]:
    """`environment()` as lines for `eval`."""
    return [f"export {name}={json.dumps(value)}" for name, value in environment().items()]
