"""An API server of the tests' own: it holds documents and gives them out, and does nothing else of what one does.

It stands where a test asks how a rule reads and what it concludes. What a real one says is asked in tests/cluster.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "a-token-of-the-tests"  # noqa: S105 (it opens nothing)


@dataclass
class Documents:
    """What it holds, by path; a number is a status code. `asked` are the paths that were asked for."""

    held: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def serve(
        self, *ingresses: Mapping[str, Any], release: Mapping[str, Any] | None = None, **deployments: Any
    ) -> None:
        """Hold the objects of the service `chat` in the namespace `serinus`."""
        listed = {"ingresses": list(ingresses), "deployments": list(deployments.values())}
        inside = "namespaces/serinus"
        self.held = {
            f"/apis/networking.k8s.io/v1/{inside}/ingresses": {"items": listed["ingresses"]},
            f"/apis/apps/v1/{inside}/deployments": {"items": listed["deployments"]},
            **({f"/apis/serinus.dev/v1alpha1/{inside}/canaryreleases/chat": release} if release else {}),
        }

    def kubeconfig(self, folder: Path, **user: Any) -> Path:
        """Write a kubeconfig that names this server, with the right token or with what `user` says."""
        file = folder / "kubeconfig"
        file.write_text(
            json.dumps(
                {
                    "current-context": "here",
                    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                    "users": [{"name": "u", "user": user or {"token": TOKEN}}],
                }
            )
        )
        return file


@contextmanager
def api_server() -> Iterator[Documents]:
    """Serve on a port of the loopback."""
    documents = Documents()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave in two pieces; without this the second waits 40 ms for the first one's receipt.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            documents.asked.append(self.path)
            found = documents.held.get(path, 404)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                found = 401
            if path.endswith("s") and query != "labelSelector=serinus.dev%2Fservice%3Dchat":
                found = 400
            code, body = (found, b"{}") if isinstance(found, int) else (200, json.dumps(found).encode())
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    documents.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield documents
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
