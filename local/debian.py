"""Programs from Debian's packages, without installing services on the user's machine.

A package such as containerd or etcd starts a service when it is installed, and may push out another one (Docker's own
containerd). So those are downloaded and unpacked into the cache. Only plain tools are installed, where missing.
"""

import os
import shutil
import tempfile
from pathlib import Path

from local.errors import LocalError
from local.places import INSTALL_LOGS, cache, content_key
from local.progress import step
from local.shell import run

UNPACKED = ("etcd-server", "containerd", "runc", "containernetworking-plugins", "busybox-static")
MONITORING = ("prometheus", "prometheus-alertmanager")
TOOLS = {
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "debootstrap": "debootstrap",
    "mount": "mount",
}
"""Program → package, installed only where the program is missing."""
PYTHON_SUITE = "bookworm"
"""The Debian of the pods: its Python is the one that the service's lock is made for (3.11)."""

_LOG = INSTALL_LOGS / "debian.log"
_APT = ("apt-get", "-y", "-o", "APT::Sandbox::User=root")
_QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def unpacked() -> Path:
    """The directory that holds the cluster's packages, as they would lie below `/`."""
    return _unpacked(UNPACKED, "bringing cluster programs", "etcd, containerd and others from Debian, 30 s")


def monitoring() -> Path:
    """The same for Prometheus and Alertmanager, with promtool."""
    return _unpacked(MONITORING, "bringing Prometheus and Alertmanager", "from Debian, 10 s")


def _unpacked(packages: tuple[str, ...], title: str, hint: str) -> Path:
    home = cache() / "debian" / content_key([], *packages, _system())
    if home.exists():
        return home
    with step(title, hint), tempfile.TemporaryDirectory() as work:
        _update()
        run([*_APT, "download", *packages], log=_LOG, what="downloading Debian packages", cwd=Path(work))
        part = home.with_suffix(f".part-{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for package in sorted(Path(work).glob("*.deb")):
            run(["dpkg", "-x", package, part], log=_LOG, what=f"unpacking {package.name}")
        try:
            part.replace(home)
        except OSError:
            if not home.exists():  # another checkout was faster
                raise
            shutil.rmtree(part)
    return home


def tools() -> None:
    """Install the plain tools that are missing. Raises LocalError where there is no apt."""
    os.environ["PATH"] = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = sorted({package for program, package in TOOLS.items() if shutil.which(program) is None})
    if not missing:
        return
    with step(f"installing {', '.join(missing)}"):
        _update()
        run(
            [*_APT, "install", "--no-install-recommends", *missing],
            log=_LOG,
            what=f"installing {', '.join(missing)}",
            env=_QUIET,
        )


def root(key: str) -> Path:
    """A small Debian with python3 in the cache under `key`: what the pods' image is made of."""
    home = cache() / "pod-root" / key
    if home.exists():
        return home
    with step("making a small Debian for the pods", "debootstrap, 1 min"):
        part = home.with_suffix(f".part-{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        run(
            ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", PYTHON_SUITE, part],
            log=_LOG,
            what="making a small Debian",
        )
        for waste in (
            "var/cache/apt",
            "var/lib/apt/lists",
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
            "var/log",
        ):
            shutil.rmtree(part / waste, ignore_errors=True)
            (part / waste).mkdir(parents=True)
        part.replace(home)
    return home


def _system() -> str:
    release = Path("/etc/os-release")
    return release.read_text() if release.exists() else ""


def _update() -> None:
    if shutil.which("apt-get") is None:
        raise LocalError(
            "the built-in cluster needs a Debian or Ubuntu machine: there is no apt-get here",
            remedy="use a cluster of your own: set serinus:context in the stack's settings",
        )
    if os.geteuid() != 0:
        return  # downloading works with the lists that are there; renewing them is root's
    run([*_APT, "update"], log=_LOG, what="reading Debian's package lists")
