"""A service's Ingresses on the real API server and the real gateway, with the bucketer's program, and no pods.

Its releases are servers of this process, which name themselves in their answers: what is asked here is who gets which,
not what they say. So changing the way to split takes a tenth of a second, and a table of users and headers is cheap.
"""

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import urllib3

from local import gateway, kubernetes
from local.places import GATEWAY_PORT, KUBECONFIG, Network
from serinus.rollout.share import CANARY, HEADER, PATTERN, WEIGHT
from tests.cluster.guarded import apply
from tests.stack.mocked_engine import Run, run_program

SALT = "a salt for tests only"
_SECONDS = 120.0
# The local gateway gathers changes for a tenth of a second.
_CHANGE_SECONDS = 0.25
_KINDS = {"Ingress": "networking.k8s.io/v1", "Service": "v1"}


class Answer(NamedTuple):
    """Status, the release that answered (empty: none did), seconds, and the cookie that it set."""

    status: int
    release: str
    seconds: float
    cookie: str = ""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        release = str(getattr(self.server, "release", ""))
        self.send_header("X-Serinus-Release", release)
        # As the model service does: its own note of those that the gateway brings.
        for key, cookie in json.loads(self.headers.get("X-Serinus-Keep", "{}")).items():
            if key.rpartition("-")[0] == release:
                self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - named by the base class

    def log_message(self, format: str, *args: object) -> None:
        pass


class Release(ThreadingHTTPServer):
    """A release that only says its name. `address` is an address of this machine; the port is any."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: str, release: str) -> None:
        super().__init__((address, 0), _Answers)
        self.release = release


class Routed:
    """The service `chat` of a namespace of its own, split as `split` says."""

    def __init__(self, network: Network, name: str, folder: Path) -> None:
        self.network = network
        self.name = name
        self.host = f"{name}.serinus.test"
        self._folder = folder
        self._bucketer: subprocess.Popen[str] | None = None
        self._pool = urllib3.PoolManager(maxsize=32, block=True, retries=False, timeout=_SECONDS)
        self.live: Run | None = None

    def bucket(self, **changes: object) -> dict[str, object]:
        """The settings of a split by buckets, changed by keyword."""
        gateway_itself = {
            "gateway": f"{self.network.node}:{GATEWAY_PORT}",
            "gatewaySources": [f"{self.network.node}/32"],
        }
        return {"by": "bucket", **gateway_itself, "image": "localhost/serinus-agent:local", **changes}

    def split(self, split: Mapping[str, object], weight: int, **changes: object) -> Run:
        """Bring the Ingresses to what the program declares for this, and wait until the gateway routes by it."""
        run = self._declared(split, weight, changes)
        if split["by"] == "bucket":
            self.start_bucketer(run)
        before = set(self.live.resources) if self.live else set()
        apply(*(_document(run, key) for key in run.resources if key.split("/")[0] in _KINDS))
        for key in before - set(run.resources):
            self._delete(key)
        self.live = run
        self._settle(lambda: self._is_routed(run))
        return run

    def change(self, split: Mapping[str, object], weight: int) -> list[Answer]:
        """Come to the same object by object, in the engine's order, and ask while each of these states lasts.

        The engine creates and updates what others depend on first, and deletes it last, after all of that. Returns the
        answers that were none.
        """
        run = self._declared(split, weight, {})
        if split["by"] == "bucket":
            self.start_bucketer(run)
        before = self.live.order if self.live else []
        lost = []
        for key in (one for one in run.order if one.split("/")[0] in _KINDS):
            apply(_document(run, key))
            lost += self._lost()
        for key in (one for one in reversed(before) if one not in run.resources):
            self._delete(key)
            lost += self._lost()
        self.live = run
        self._settle(lambda: self._is_routed(run))
        return [*lost, *self._lost()]

    def _lost(self) -> list[Answer]:
        """Ask for longer than the gateway takes to hear of a change."""
        found, end = [], time.monotonic() + _CHANGE_SECONDS
        while time.monotonic() < end:
            found.append(self.ask(("X-User-Id", f"user-{len(found):03d}")))
        return [answer for answer in found if answer.status != 200]

    def _declared(self, split: Mapping[str, object], weight: int, changes: Mapping[str, object]) -> Run:
        base = {
            "kubeconfig": str(KUBECONFIG),
            "context": "serinus-local",
            "namespace": self.name,
            "host": self.host,
            "stable": "echo-v1",
            "canary": "echo-v2",
        }
        secret = {"salt": SALT} if split["by"] == "bucket" else {}
        return run_program({**base, "split": dict(split), "weight": weight, **secret, **changes})

    def _delete(self, key: str) -> None:
        kind, name = key.split("/")
        if kind in _KINDS:
            kubernetes.kubectl("-n", self.name, "delete", kind, name, "--ignore-not-found")

    def cut(self, annotations: Mapping[str, str]) -> None:
        """Set annotations on the canary's Ingress, as the agent does, and wait until the gateway routes by them."""
        words = [f"{key}={value}" for key, value in annotations.items()]
        kubernetes.kubectl("-n", self.name, "annotate", "ingress", "chat-canary", "--overwrite", *words)
        weight, pattern = int(annotations[WEIGHT]), annotations.get(PATTERN)
        patterns = set() if pattern is None else {pattern}
        self._settle(
            lambda: (
                {found for _, found in gateway.matches_seen(self.name, "chat")} == patterns
                and gateway.weight_seen(self.name, "chat") == weight
            )
        )

    def ask(self, *headers: tuple[str, str], host: str = "", url: str = "") -> Answer:
        """Send one request with these headers, doubled ones too. A refusal is an answer; no answer is status 0."""
        found = urllib3.HTTPHeaderDict({"Host": host or self.host})
        for name, value in headers:
            found.add(name, value)
        started = time.monotonic()
        try:
            reply = self._pool.request("POST", url or f"{self.network.gateway}/chat", body=b"{}", headers=found)
        except urllib3.exceptions.HTTPError:
            return Answer(0, "", time.monotonic() - started)
        cookie = reply.headers.get("Set-Cookie", "").partition(";")[0]
        return Answer(reply.status, reply.headers.get("X-Serinus-Release", ""), time.monotonic() - started, cookie)

    def ask_all(self, requests: Iterable[Sequence[tuple[str, str]]]) -> list[Answer]:
        """Send many, some at a time; the answers in their order."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            return list(pool.map(lambda headers: self.ask(*headers), requests))

    def start_bucketer(self, run: Run) -> None:
        """Run the bucketer's program with the configuration that the stack declares, in place of its pods."""
        document = run["Secret/chat-bucketer"].inputs["stringData"]["value"]["config.json"]
        file = self._folder / "config.json"
        if self._bucketer is not None:
            if file.read_text() == document:
                return
            self.stop_bucketer()
        file.write_text(document)
        command = [sys.executable, "-m", "serinus.bucketer", str(file), "--host", self.network.host, "--port", "0"]
        self._bucketer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._bucketer.stdout
        self.serve("chat-bucketer", json.loads(self._bucketer.stdout.readline())["port"])

    def stop_bucketer(self) -> None:
        """Kill it, and leave its endpoint: so the gateway meets a port that refuses."""
        if self._bucketer is not None:
            self._bucketer.kill()
            self._bucketer.communicate()
            self._bucketer = None

    def serve(self, service: str, port: int | None) -> None:
        """Let a Service have one endpoint, a port of this machine; None leaves it without."""
        head = {"name": f"{service}-here", "namespace": self.name, "labels": {"kubernetes.io/service-name": service}}
        endpoint = {"addresses": [self.network.host], "conditions": {"ready": True}}
        apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": head,
                "addressType": "IPv4",
                "endpoints": [] if port is None else [endpoint],
                "ports": [{"name": "http", "port": port or 80, "protocol": "TCP"}],
            }
        )

    def _is_routed(self, run: Run) -> bool:
        for key, one in run.resources.items():
            (rule,) = one.inputs["spec"]["rules"] if key.startswith("Ingress/") else ({},)
            name = key.removeprefix("Ingress/")
            if "host" in rule and name != "chat-canary" and gateway.hosts_seen(self.name, name) != {rule["host"]}:
                return False
        said = run["Ingress/chat-canary"].inputs["metadata"]["annotations"]
        wanted = {(said[HEADER], said[PATTERN])} if HEADER in said else set()
        assert said[CANARY] == "true"
        return gateway.matches_seen(self.name, "chat") == wanted and gateway.weight_seen(self.name, "chat") == int(
            said[WEIGHT]
        )

    def _settle(self, condition: Callable[[], bool]) -> None:
        # The gateway changes one entry point after the other, and its own view may be the first: so it is asked twice.
        self.until(condition)
        self.until(condition)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + _SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"not so within {_SECONDS:.0f} s"
            time.sleep(0.05)


@contextmanager
def routed(network: Network, name: str) -> Iterator[Routed]:
    """Make the namespace, its releases and their endpoints; take everything away at the end."""
    with ExitStack() as stack:
        place = Routed(network, name, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(place.stop_bucketer)
        apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        gone = ("delete", "namespace", name, "--ignore-not-found", "--timeout=60s")
        stack.callback(lambda: kubernetes.kubectl(*gone, timeout=70))
        for release in ("echo-v1", "echo-v2"):
            server = Release(network.host, release)
            stack.callback(server.server_close)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            place.serve(f"chat-{release}", server.server_address[1])
        yield place


def _document(run: Run, key: str) -> dict[str, Any]:
    kind = key.split("/")[0]
    return {"apiVersion": _KINDS[kind], "kind": kind, **run[key].inputs}


@contextmanager
def silent(address: str) -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server((address, 0)) as listening:
        yield int(listening.getsockname()[1])
