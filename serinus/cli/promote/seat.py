"""One promoter a service: a Lease in its namespace, held while a promoter runs.

A second promoter is told who has it. One that was killed can't give it back: after a while without a renewal it is
free, and at once where its process is known to be dead.
"""

import getpass
import json
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.errors import LocalError
from serinus.cli.promote.cluster import Cluster

DURATION_SECONDS = 30
_RENEW_SECONDS = 8.0
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class SeatTakenError(Exception):
    """Another promoter has the service. The message says who, and since when."""


class Seat:
    """The Lease `<service>-promoter`. Enter it to take it; leaving gives it back."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._name = f"{cluster.service}-promoter"
        self._me = _identity(os.getpid())
        self._version = ""
        self._transitions = 0
        self._acquired = ""
        self._renewed = 0.0
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Seat":
        """Raises SeatTakenError; LocalError where the cluster can't be asked."""
        self._take()
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._heart.join()
        if self.held():
            try:
                self._write(holder="", seconds=1)
            except LocalError:
                # It runs out by itself; what the promoter did is not undone by it.
                return

    def held(self) -> bool:
        """Tell whether the seat is surely ours still."""
        return bool(self._version) and time.monotonic() - self._renewed < DURATION_SECONDS

    def check(self) -> None:
        """Raise SeatTakenError where the seat was lost."""
        if not self.held():
            raise SeatTakenError(f"the Lease {self._name} could not be renewed; another promoter may have it now")

    def _take(self) -> None:
        found = self._read()
        if found is not None:
            spec = found.get("spec") or {}
            holder = str(spec.get("holderIdentity") or "")
            if holder and not _dead(holder) and not _expired(spec):
                since = spec.get("acquireTime", "an unknown time")
                raise SeatTakenError(f"{holder} promotes {self._cluster.service} since {since}")
            self._version = str(found["metadata"]["resourceVersion"])
            self._transitions = int(spec.get("leaseTransitions") or 0) + 1
        self._acquired = _now()
        try:
            self._write(self._me, DURATION_SECONDS)
        except LocalError as error:
            self._version = ""
            winner = ((self._read() or {}).get("spec") or {}).get("holderIdentity") or ""
            if winner:
                raise SeatTakenError(f"{winner} was faster to promote {self._cluster.service}") from None
            raise LocalError(f"the Lease {self._name} can't be written: {error}") from None

    def _beat(self) -> None:
        while not self._ended.wait(_RENEW_SECONDS):
            try:
                self._write(self._me, DURATION_SECONDS)
            except LocalError:
                # The cluster may be away for a moment, or somebody has the seat: `held` tells by the time.
                continue

    def _read(self) -> dict[str, Any] | None:
        told = self._cluster.kubectl("get", "lease", self._name, "--ignore-not-found", "--output=json")
        found: dict[str, Any] | None = json.loads(told) if told.strip() else None
        return found

    def _write(self, holder: str, seconds: int) -> None:
        """Create the Lease, or replace the version that was read; somebody else's write in between is an error."""
        sent = time.monotonic()
        metadata: dict[str, Any] = {
            "name": self._name,
            "labels": {"serinus.dev/service": self._cluster.service, "app.kubernetes.io/part-of": "serinus"},
        }
        if self._version:
            metadata["resourceVersion"] = self._version
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": seconds,
                "acquireTime": self._acquired,
                "renewTime": _now(),
                "leaseTransitions": self._transitions,
            },
        }
        verb = "replace" if self._version else "create"
        told = self._cluster.kubectl(verb, "--filename=-", "--output=json", document=lease)
        self._version = str(json.loads(told)["metadata"]["resourceVersion"])
        self._renewed = sent


def _now() -> str:
    return datetime.now(UTC).strftime(_TIME_FORMAT)


def _expired(spec: Mapping[str, Any]) -> bool:
    try:
        renewed = datetime.fromisoformat(str(spec["renewTime"]))
        return (datetime.now(UTC) - renewed).total_seconds() > float(spec["leaseDurationSeconds"])
    except (KeyError, ValueError, TypeError):
        # Nobody who renews writes such a thing.
        return True


def _identity(pid: int) -> str:
    """Who, where, and which process: a pid may come again, so its start and its namespace belong to it."""
    return f"{_user()}@{os.uname().nodename} (pid {pid}, {_birth(pid)})"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _birth(pid: int) -> str:
    """What tells a process from another of its pid; empty where this system does not tell, or there is none."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")[:8]
        return f"{boot}-{Path('/proc/self/ns/pid').readlink().name.strip('pid:[]')}-{started}"
    except OSError:
        return ""


def _dead(holder: str) -> bool:
    """Tell whether a holder was a process of this system that is gone. In doubt it lives."""
    pid, _, birth = holder.rpartition("(pid ")[2].rstrip(")").partition(", ")
    system = _birth(os.getpid()).rpartition("-")[0]
    if not pid.isdigit() or not birth or not system or birth.rpartition("-")[0] != system:
        return False
    return _birth(int(pid)) != birth
