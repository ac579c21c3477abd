"""A Prometheus that says what it is told to say. It listens on the host's end of the cluster's link."""

import json
import os
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WELL = "well"
ODD = ("garbage", "NaN", "partial", "error", "silent", "away")
"""Bytes that are no JSON; rows of nonsense; an answer cut short; a 500; none for half a minute; a hang-up."""
_SILENT_SECONDS = 30.0


class OddPrometheus:
    """Answers each question in the mode of the moment, and counts them."""

    def __init__(self, address: str) -> None:
        self.mode = WELL
        self.asked = 0
        self._ended = threading.Event()
        odd = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                odd.asked += 1
                odd.answer(self)

            do_POST = do_GET  # noqa: N815 (the server's name for it)

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{address}:{self._server.server_address[1]}"

    def __enter__(self) -> "OddPrometheus":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        """Answer one question."""
        if self.mode == "away":
            return
        if self.mode == "silent":
            self._ended.wait(_SILENT_SECONDS)
        body = self._body()
        with suppress(OSError):  # whoever asked has given up
            to.send_response(500 if self.mode == "error" else 200)
            to.send_header("Content-Type", "application/json")
            to.send_header("Content-Length", str(len(body) * (2 if self.mode == "partial" else 1)))
            to.end_headers()
            to.wfile.write(body)

    def _body(self) -> bytes:
        labels = {"alertname": "Odd", "alertstate": "firing", "serinus_action": "rollback"}
        rows: list[Any] = []
        if self.mode == "NaN":
            # No service, a service that is a number, no labels, and no row at all.
            rows = [{"metric": labels, "value": [0, "NaN"]}, {"metric": labels | {"serinus_service": 1}}, {}, None]
        answer = json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}}).encode()
        return os.urandom(500) if self.mode == "garbage" else answer
