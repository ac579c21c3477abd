"""From a real counter to a message: gateway → Prometheus → Alertmanager → whoever the stack says, with its token."""

import json
import os
import signal
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from local import cluster, kubernetes
from local.places import Network
from serinus.rollout import agency
from serinus.rollout.alert_receiver import Receiver, operator_spec
from serinus.rollout.alertmanager import Payload, read
from serinus.rollout.demand import Action
from tests.cluster.conftest import Project

TOKEN = "a-token-for-this-test"  # noqa: S105
SECONDS = 120.0
WATCHERS = {"prometheus", "alertmanager", "operator-stand-in"}


class Listener:
    """Takes what Alertmanager sends, in the agent's place."""

    def __init__(self, address: str) -> None:
        self.messages: list[tuple[str, str, bytes]] = []
        taken = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                taken.append((self.path, self.headers.get("Authorization", ""), body))
                self.send_response(202)
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                """Nothing: a test's output is for failures."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def listener(network: Network) -> Iterator[Listener]:
    """On the host's end of the link: the cluster reaches it as it would reach a pod."""
    with Listener(network.host) as made:
        yield made


def way_to(address: str, namespace: str, port: int) -> str:
    """What a stack with an agent declares for its alerts, but for their end: that is a Service of the test's own."""
    head = {"namespace": namespace}
    receiver = Receiver("chat", namespace)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**head, "name": "listener"},
        "spec": {"ports": [{"name": "http", "port": agency.PORT, "targetPort": port}]},
    }
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**head, "name": "listener-1", "labels": {"kubernetes.io/service-name": "listener"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**head, "name": receiver.secret},
        "stringData": {agency.TOKEN: TOKEN},
    }
    spec = operator_spec(receiver)
    (webhook,) = spec["receivers"][0]["webhookConfigs"]
    webhook["url"] = webhook["url"].replace(f"{agency.NAME}.{agency.NAMESPACE}", f"listener.{namespace}")
    config = {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "AlertmanagerConfig",
        "metadata": {**head, "name": "chat"},
        "spec": spec,
    }
    return yaml.safe_dump_all([service, slice_, secret, config])


def asked(network: Network, query: str) -> list[Any]:
    """What Prometheus answers to a query."""
    url = f"{network.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (our own address)
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


def test_an_alert_of_real_failures_reaches_its_receiver_with_the_token(
    project: Project, network: Network, listener: Listener
) -> None:
    good = yaml.safe_load((project.folder / "releases/echo-v2.yaml").read_text())
    bad = good | {"name": "echo-bad", "options": {"fail_ratio": 1.0}}
    (project.folder / "releases/echo-bad.yaml").write_text(yaml.safe_dump(bad))
    project.write_settings(canary="echo-bad", monitoring=True, alerts={"errorRateFast": {"minSamples": 2}})
    result = project.stack.up()
    assert result.ok, result.output
    kubernetes.kubectl("apply", "-f", "-", input=way_to(network.host, project.name, listener.port))
    mine = f'namespace="{project.name}"'
    deadline = time.monotonic() + SECONDS
    demands = []
    client = project.client()
    while not demands:
        assert time.monotonic() < deadline, (listener.messages, asked(network, f"ALERTS{{{mine}}}"))
        client.ask_all([f"user-{n}" for n in range(20)], ["hello"], concurrency=4)
        for path, authorization, body in list(listener.messages):
            assert (path, authorization) == ("/v1/alerts", f"Bearer {TOKEN}")
            payload = read(Payload.model_validate_json(body))
            assert payload.mistakes == []
            demands += [one for one in payload.demands if one.by == "alert SerinusErrorRateFast"]
    assert {(one.service, one.action) for one in demands} == {("chat", Action.ROLLBACK)}
    assert "of the requests failed; the limit is 30 % over 15 s" in demands[0].reason

    # The pods were found by the declared PodMonitor.
    while len(asked(network, f"llm_build_info{{{mine}}}")) < 2:
        assert time.monotonic() < deadline, asked(network, "up")
        time.sleep(0.5)


def test_killed_watchers_come_back_and_nothing_else_is_touched(network: Network) -> None:
    before = {part.name: part.pid for part in cluster.status()}
    assert before.keys() > WATCHERS
    for name in WATCHERS:
        pid = before[name]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    assert cluster.up().gateway == network.gateway
    after = {part.name: part.pid for part in cluster.status()}
    assert all(part.healthy for part in cluster.status())
    assert {name for name, pid in after.items() if pid != before[name]} == WATCHERS
