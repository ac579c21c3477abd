"""The image of the model service's pods, made without a registry or a container engine.

Two layers: a small Debian with Python, and the service's own code. The 5 GB environment (torch and its kin) is no
layer: it is a directory of the node that pods mount read-only.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from local import debian
from local.places import ROOT, cache, content_key
from local.progress import step

NAME = "localhost/serinus-serving:local"
PAUSE = "localhost/serinus-pause:local"
CODE = ROOT / "bento_service"
WORKDIR = "/opt/serinus/bento_service"
USER = 1034
_CONFIG = {
    "Env": [
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "HOME=/home/bentoml",
        "PYTHONPATH=/opt/serving",
        "PYTHONUNBUFFERED=1",
        "PYTHONDONTWRITEBYTECODE=1",
    ],
    "Cmd": ["python3", "-m", "bentoml", "serve", "service:ChatService", "--port", "3000"],
    "WorkingDir": WORKDIR,
    "User": f"{USER}:{USER}",
}
_RECIPE = f"{debian.PYTHON_SUITE} python3 {USER} {json.dumps(_CONFIG, sort_keys=True)} layout 1"


def root() -> Path:
    """The Debian that pods run in, as a directory; also where the service's environment is prepared."""
    return debian.root(content_key([], debian.PYTHON_SUITE, "1"))


def archive() -> Path:
    """The image file (docker-archive format) for the service's code as it is now; its name changes with its content."""
    key = content_key(code_files(), _RECIPE)
    target = cache() / "images" / f"serving-{key}.tar"
    if not target.exists():
        base = base_layer()
        with step("packing the service's image"):
            write_archive(target, NAME, [base, _code_layer()], _CONFIG)
    return target


def pause_archive() -> Path:
    """The image that holds a pod's network: one static program that sleeps."""
    target = cache() / "images" / f"pause-{content_key([debian.unpacked() / 'bin' / 'busybox'], '2')}.tar"
    if not target.exists():
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as layer:
            layer.add(debian.unpacked() / "bin" / "busybox", "busybox", filter=plain)
        write_archive(
            target, PAUSE, [buffer.getvalue()], {"Entrypoint": ["/busybox", "sleep", "infinity"], "User": "65534:65534"}
        )
    return target


def code_files() -> list[Path]:
    """The files of the service that go into the image: its code and what names its dependencies.

    Not its tests, nor what they leave behind: else each of their runs would make another image.
    """
    return [
        path
        for path in sorted(CODE.rglob("*"))
        if path.is_file()
        and not any(
            part in {"tests", "__pycache__", "build"} or part.startswith(".") for part in path.relative_to(CODE).parts
        )
    ]


def base_layer() -> bytes:
    """The pods' Debian as a layer, with the places that pods mount; the same bytes for the same Debian."""
    base = root()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        layer.add(
            base, ".", filter=lambda entry: None if entry.name.startswith(("./dev/", "./proc/", "./sys/")) else entry
        )
        for name in ("home/bentoml", "opt/serving", "models"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            folder.uid = folder.gid = USER if name.startswith("home") else 0
            layer.addfile(folder)
        passwd = (base / "etc/passwd").read_text() + f"bentoml:x:{USER}:{USER}::/home/bentoml:/usr/sbin/nologin\n"
        _add_text(layer, "etc/passwd", passwd)
    return buffer.getvalue()


def _code_layer() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for path in code_files():
            layer.add(path, f"{WORKDIR.lstrip('/')}/{path.relative_to(CODE)}", filter=plain)
    return buffer.getvalue()


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same bytes for the same content, whoever packs it and when."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def _add_text(layer: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text.encode())
    entry.mode = 0o644
    layer.addfile(entry, io.BytesIO(text.encode()))


def write_archive(target: Path, name: str, layers: list[bytes], config: Mapping[str, object]) -> None:
    """Write an image file (docker-archive format) of these layers, the lowest first."""
    image = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
    }
    names = [f"layer{index}.tar" for index in range(len(layers))]
    files = {
        "manifest.json": json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": names}]).encode(),
        "config.json": json.dumps(image).encode(),
        **dict(zip(names, layers, strict=True)),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".part-{os.getpid()}")
    with tarfile.open(part, "w") as archive_file:
        for file, data in files.items():
            entry = tarfile.TarInfo(file)
            entry.size = len(data)
            archive_file.addfile(entry, io.BytesIO(data))
    part.replace(target)
