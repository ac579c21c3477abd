"""The image of the agent's pods on the local cluster: the pods' Debian, the agent's locked environment, its code."""

import io
import json
import tarfile
from pathlib import Path

from local import podimage, serving
from local.places import ROOT, cache, content_key
from local.progress import step

NAME = "localhost/serinus-agent:local"
REQUIREMENTS = ROOT / "requirements-agent.txt"
_LIBRARIES = "/opt/serinus/libraries"
_CODE = "/opt/serinus/agent"
# What the agent is made of, and the bucketer, which shares its image: the command line is for people.
_PACKAGES = ("agent", "bucketer", "rollout")
_USER = 65532
_CONFIG = {
    "Env": [
        "PATH=/usr/local/bin:/usr/bin:/bin",
        f"PYTHONPATH={_CODE}:{_LIBRARIES}",
        "PYTHONUNBUFFERED=1",
        "PYTHONDONTWRITEBYTECODE=1",
    ],
    "Cmd": ["python3", "-m", "serinus.agent"],
    "WorkingDir": _CODE,
    "User": f"{_USER}:{_USER}",
}
_RECIPE = f"3.11 layout 1 {json.dumps(_CONFIG, sort_keys=True)}"


def archive(uv: Path) -> Path:
    """The image file (docker-archive format) for the agent as it is now; its name changes with its content."""
    key = content_key([*_code_files(), REQUIREMENTS], _RECIPE, str(podimage.root()))
    target = cache() / "images" / f"agent-{key}.tar"
    if not target.exists():
        libraries = _libraries(uv)
        with step("packing the agent's image"):
            layers = [podimage.base_layer(), _layer(libraries, _LIBRARIES), _code_layer()]
            podimage.write_archive(target, NAME, layers, _CONFIG)
        # The code changes often, and each image is as large as a Debian.
        for older in target.parent.glob("agent-*.tar"):
            if older != target:
                older.unlink(missing_ok=True)
    return target


def _libraries(uv: Path) -> Path:
    home = cache() / "agent" / content_key([REQUIREMENTS], "3.11", "1")
    if home.exists():
        return home
    part = serving.fresh(home)
    with step("installing the agent's environment", "once, 20 s"):
        serving.install(uv, REQUIREMENTS, part)
        # The pods' root is read-only. And an image forgets when a file was written, so bytecode must not ask for it.
        serving.in_pod_root(
            ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", _LIBRARIES],
            {part: _LIBRARIES},
            what="compiling the agent's environment",
            allow_failure=True,
        )
    part.replace(home)
    return home


def _code_files() -> list[Path]:
    package = ROOT / "serinus"
    return [package / "__init__.py", *(file for name in _PACKAGES for file in sorted((package / name).rglob("*.py")))]


def _code_layer() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for file in _code_files():
            layer.add(file, f"{_CODE.lstrip('/')}/{file.relative_to(ROOT)}", filter=podimage.plain)
    return buffer.getvalue()


def _layer(folder: Path, place: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            layer.add(file, f"{place.lstrip('/')}/{file.relative_to(folder)}", filter=podimage.plain)
    return buffer.getvalue()
