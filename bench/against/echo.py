"""What both controllers roll out: a pod that answers as the echo engine does, and fails every request while told to."""

from typing import Any

import yaml

from local import gateway, kubernetes, podimage

FAULT = "/tmp/drill"  # noqa: S108 (inside the pod)
HOST = "serinus.test"
PORT = 8080
_SERVER = f"""
import http.server, json, os
RELEASE, BROKEN = os.environ["RELEASE"], {FAULT!r}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self): self.answer(200)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(500 if os.path.exists(BROKEN) else 200)
    def answer(self, status):
        body = json.dumps({{"response": "hello"}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Serinus-Release", RELEASE)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("", {PORT}), Handler).serve_forever()
"""


def pod_template(release: str) -> dict[str, Any]:
    """The pods of one release."""
    container = {
        "name": "echo",
        "image": podimage.NAME,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", _SERVER],
        "env": [{"name": "RELEASE", "value": release}],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    return {
        "metadata": {"labels": {"app": "chat"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }


def workload(kind: str, api: str, release: str, **spec: object) -> dict[str, Any]:
    """A Deployment, or what a controller has in its place."""
    selector = {"matchLabels": {"app": "chat"}}
    whole = {"replicas": 1, "selector": selector, "template": pod_template(release), **spec}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "chat"}, "spec": whole}


def ingress(namespace: str, backend: str) -> dict[str, Any]:
    """The stable Ingress; the gateway of these benchmarks takes it as it takes the stack's own."""
    service = {"name": backend, "port": {"name": "http"}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "chat-stable"},
        "spec": {
            "ingressClassName": gateway.CLASS,
            "rules": [{"host": f"{namespace}.{HOST}", "http": {"paths": [path]}}],
        },
    }


def service(name: str) -> dict[str, Any]:
    """A Service of the pods."""
    port = {"name": "http", "port": 80, "targetPort": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": "chat"}, "ports": [port]},
    }


def errors(gateway_name: str) -> str:
    """The share of failed answers in 15 seconds, by the gateway's own counters; 0 where nobody came."""
    counter = f'traefik_service_requests_total{{service="{gateway_name}"'
    return f'(sum(rate({counter},code=~"5.."}}[15s])) / sum(rate({counter}}}[15s])) >= 0) or on() vector(0)'


def apply(namespace: str, *documents: dict[str, Any]) -> None:
    """Apply documents in the namespace."""
    kubernetes.kubectl(
        "-n", namespace, "apply", "--server-side", "--force-conflicts", "-f", "-", input=yaml.safe_dump_all(documents)
    )
