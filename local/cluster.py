"""Brings the local cluster up, down, and says how it is.

`up` makes the machine look as it should, whatever it looks like now: a healthy cluster is left alone, anything else
(a killed run's processes, mounts, namespace) is cleared away first and started afresh on the data that is there.
"""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from pathlib import Path

from local import (
    agentimage,
    debian,
    engine,
    gateway,
    golang,
    kubernetes,
    monitoring,
    network,
    podimage,
    processes,
    serving,
)
from local.errors import LocalError
from local.places import MODELS, NETWORK_RECORD, PKI, RUN, SERVING, STATE, Network, cache
from local.places import network as chosen_network
from local.processes import Daemon
from local.progress import say, step

GIB = 2**30
BUILD_GIB = 25
"""What the first run writes: Go's modules and objects, the serving environment and uv's copy of it, the images."""
RUN_GIB = 2
_START_SECONDS = 90.0
_PATIENCE_SECONDS = 15.0
"""A part that runs and gives no answer is only busy, until so long: starting all again would end everybody's pods."""


@dataclass(frozen=True)
class Health:
    """How one part of the cluster is: its pid (None: not running) and whether it answers."""

    name: str
    pid: int | None
    healthy: bool


def up() -> Network:
    """Install what is missing, start what is not running, and return the cluster's addresses.

    Raises LocalError when this machine can't run it, or when a part of it does not start.
    """
    net = chosen_network()
    require_root()
    _require_space()
    programs = install()
    daemons = [*kubernetes.daemons(net, programs), gateway.daemon(net)]
    if not kubernetes.knows_its_users() or not _stands(daemons, net):
        with step("clearing what an earlier run left"):
            clear()
        with step("starting the cluster", "10 s"):
            network.ensure(net)
            kubernetes.prepare(net, programs)
            NETWORK_RECORD.write_text(str(net.block))
            _start(daemons, net, programs)
    engine.prepare_store()
    _watch(net)
    _publish(SERVING, serving.environment(_uv()))
    _publish(MODELS, serving.models(_uv()))
    _bring_image(programs, podimage.archive(), "image", "serinus.dev/service")
    _bring_image(programs, agentimage.archive(_uv()), "agent-image", "app.kubernetes.io/component=release-agent")
    return net


def install() -> Path:
    """Build and download everything, the two slow chains side by side; return where Debian's programs are unpacked."""
    debian.tools()
    with ThreadPoolExecutor(max_workers=2) as pool:
        builds = pool.submit(engine.install)
        programs = pool.submit(_download)
        # Whichever fails first is told first; the other is waited for, since a thread can't be ended.
        builds.result()
        return programs.result()


def weights() -> Path:
    """The directory of the demo's model, made first where it is missing."""
    require_root()
    _require_space()
    debian.tools()
    return serving.models(_uv()) / serving.MODEL


def down() -> bool:
    """Stop everything and delete the cluster's state; the cache of built things stays. False: there was nothing."""
    require_root()
    found = STATE.exists() or network.exists()
    clear()
    network.remove()
    shutil.rmtree(STATE, ignore_errors=True)
    return found


def status() -> list[Health]:
    """How every part is; empty when there is no cluster on this machine."""
    answers = _answers_of(chosen_network())
    return [
        Health(name, pid, pid is not None and answers.get(name, _always)())
        for name, pid in processes.recorded().items()
    ]


def clear() -> None:
    """End every process of the cluster and undo its mounts and control groups; data on disk stays."""
    processes.stop_all()
    shims = kubernetes.shims()
    processes.kill_tree([shim.pid for shim in shims])
    for shim in shims:
        shim.socket.unlink(missing_ok=True)
    for mount in _mounts():
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
    for group in kubernetes.cgroups():
        with contextlib.suppress(OSError):
            group.rmdir()
    # What containerd remembers of running containers is wrong once they are gone; its images stay.
    shutil.rmtree(STATE / "containerd-run", ignore_errors=True)
    shutil.rmtree(STATE / "cni", ignore_errors=True)


def _download() -> Path:
    programs = debian.unpacked()
    debian.monitoring()
    podimage.root()
    serving.models(_uv())
    return programs


def _start(daemons: list[Daemon], net: Network, programs: Path) -> None:
    for daemon in daemons:
        daemon.start()
        if daemon.name == "containerd":
            daemon.wait_until(_probe(daemon, net), _START_SECONDS)
            kubernetes.import_image(programs, podimage.pause_archive())
        elif daemon.name == "apiserver":
            daemon.wait_until(_probe(daemon, net), _START_SECONDS)
            gateway.declare()
    for daemon in daemons:
        daemon.wait_until(_probe(daemon, net), _START_SECONDS)


def _watch(net: Network) -> None:
    """Start what watches the cluster, or what of it does not run. Traffic goes on meanwhile."""
    watchers = monitoring.daemons(net, debian.monitoring())
    if _stands(watchers, net):
        return
    with step("starting Prometheus and Alertmanager", "2 s"):
        monitoring.prepare(net)
        monitoring.declare()
        for watcher in watchers:
            if watcher.pid() is None or not _probe(watcher, net)():
                watcher.stop()
                watcher.start()
        for watcher in watchers:
            watcher.wait_until(_probe(watcher, net), _START_SECONDS)


def _stands(daemons: list[Daemon], net: Network) -> bool:
    """Whether every part does its work, now or after a moment of patience with those that run."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _all_healthy(daemons, net):
        if time.monotonic() > deadline or not all(daemon.pid() for daemon in daemons):
            return False
        time.sleep(0.2)
    return True


def _all_healthy(daemons: list[Daemon], net: Network) -> bool:
    return network.exists() and all(daemon.pid() is not None and _probe(daemon, net)() for daemon in daemons)


def _probe(daemon: Daemon, net: Network) -> Callable[[], bool]:
    """How to see that `daemon` does its work; where nothing can be asked, that it runs."""
    return _answers_of(net).get(daemon.name, lambda: daemon.pid() is not None)


def _answers_of(net: Network) -> dict[str, Callable[[], bool]]:
    """What tells of a program, by its name, that it does its work."""
    return {
        "containerd": lambda: _accepts(kubernetes.CONTAINERD_SOCKET),
        "apiserver": lambda: _answers(f"{net.api}/readyz", kubernetes.token("admin")),
        "kubelet": lambda: _node_ready(net),
        "gateway": lambda: _answers(f"{net.gateway_metrics.removesuffix('/metrics')}/ping"),
        "prometheus": lambda: _answers(f"{net.prometheus}/-/ready"),
        "alertmanager": lambda: _answers(f"{net.alertmanager}/-/ready"),
    }


def _always() -> bool:
    return True


def _node_ready(net: Network) -> bool:
    """Whether the kubelet that runs now calls the node ready: what a killed one said last still stands in the API."""
    answer = _asked(f"{net.api}/api/v1/nodes/{kubernetes.NODE}", kubernetes.token("admin"))
    conditions = json.loads(answer)["status"].get("conditions", []) if answer else []
    since = int(processes.started("kubelet"))
    ready = [c["lastHeartbeatTime"] for c in conditions if c["type"] == "Ready" and c["status"] == "True"]
    return any(datetime.fromisoformat(said).timestamp() >= since for said in ready)


def _accepts(path: Path) -> bool:
    """Whether a program listens at this unix socket; the file alone may be left over from a killed one."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def _answers(url: str, token: str = "") -> bool:
    return _asked(url, token) is not None


def _asked(url: str, token: str = "") -> bytes | None:
    """What is answered with 200, else None."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (our own addresses)
    trust = ssl.create_default_context(cafile=str(PKI / "ca.crt")) if url.startswith("https") else None
    try:
        with urllib.request.urlopen(request, timeout=3, context=trust) as answer:  # noqa: S310
            return bytes(answer.read()) if answer.status == 200 else None
    except (OSError, urllib.error.URLError, HTTPException):
        return None


def _publish(place: Path, target: Path) -> None:
    """Point the fixed name that the dev stack mounts to the prepared directory."""
    if place.is_symlink() and place.readlink() == target:
        return
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def _bring_image(programs: Path, archive: Path, record: str, users: str) -> None:
    """Give the node an image; restart the pods of an older one (Deployments with the label `users`).

    Its name stays the same, so nobody else would notice. `record` is the file that says which the node has.
    """
    known = RUN / record
    if known.exists() and known.read_text() == archive.name:
        return
    with step(f"giving the node the image {archive.stem}"):
        kubernetes.import_image(programs, archive)
        if known.exists():
            _restart(users)
    known.write_text(archive.name)


def _restart(users: str) -> None:
    """Replace the pods of these Deployments, without a gap in what they serve.

    One that can't be replaced, because its release is broken or somebody deletes it now, is no reason to stop.
    """
    selected = ("get", "deployments", "--all-namespaces", f"--selector={users}", "-o", "json")
    for deployment in json.loads(kubernetes.kubectl(*selected))["items"]:
        place, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
        try:
            kubernetes.kubectl("-n", place, "rollout", "restart", f"deployment/{name}")
            kubernetes.kubectl("-n", place, "rollout", "status", f"deployment/{name}", "--timeout=90s", timeout=100)
        except LocalError as error:
            say(f"[yellow]![/] {place}/{name} still runs the older image: {error}")


def _mounts() -> list[str]:
    """What is mounted below the cluster's state, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return sorted((p for p in points if p.startswith(f"{STATE}/")), key=len, reverse=True)


def require_root() -> None:
    """Raise LocalError, with the way out, where the local cluster can't be run by this user."""
    if os.geteuid() != 0:
        raise LocalError(
            "the built-in cluster needs root: it makes a network namespace, mounts and control groups",
            remedy="run it with sudo, or use a cluster of your own: set serinus:context in the stack's settings",
        )


def _require_space() -> None:
    built = all(program.path().exists() for program in (golang.KUBERNETES, golang.ENGINE, golang.PROVIDER)) and any(
        (cache() / "models").glob("*")
    )
    for place, needed in ((cache(), RUN_GIB if built else BUILD_GIB), (STATE, RUN_GIB)):
        existing = next(p for p in (place, *place.parents) if p.exists())
        free = shutil.disk_usage(existing).free / GIB
        if free < needed:
            raise LocalError(
                f"no disk space: {place} needs {needed} GiB free, there are {free:.1f} GiB",
                remedy="free some, or name another place for what is built: XDG_CACHE_HOME=/path/with/space",
            )


def _uv() -> Path:
    return Path(sys.executable).parent / "uv"
