"""Runs Python programs and policy packs for the engine, where Pulumi's own language host is not to be had.

The engine starts this program with its address, reads a port from the first line printed, and speaks LanguageRuntime
(gRPC) there. The SDK already serves that protocol for the Automation API; this adds what a program on disk needs. It
lies beside the engine that was built here and nowhere else, so it never shadows the official host.
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2


class LanguageHost(LanguageServer):
    """The SDK's server, with the program taken from the request instead of from a function."""

    def __init__(self, engine: str) -> None:
        super().__init__(lambda: None)
        self._engine = engine

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version="0.0.0")

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        folder = Path(request.info.program_directory)
        program = folder / request.info.entry_point
        if program.is_dir():
            program = program / "__main__.py"
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        if not request.args:
            request.args.append(self._engine)

        def run() -> None:
            runpy.run_path(str(program), run_name="__main__")

        self.program = run
        result = super().Run(request, context)  # type: ignore[no-untyped-call]  # the SDK's method has no annotations
        if result.error:
            # The SDK has told the user already; as an error of the response the engine would tell it once more.
            return language_pb2.RunResponse(bail=True)
        return result

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Run a policy pack as a process of its own; stream its output; end it with the call."""
        command = [sys.executable, "-u", "-m", "pulumi.policy", *request.args, request.info.program_directory]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            cwd=request.pwd or None,
            env={**os.environ, **_variables(request.env)},
        )
        context.add_callback(process.kill)
        assert process.stdout is not None  # noqa: S101 (PIPE was asked for)
        for line in process.stdout:
            yield language_pb2.RunPluginResponse(stdout=line)
        yield language_pb2.RunPluginResponse(exitcode=process.wait())


def _variables(pairs: list[str]) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def main() -> None:
    engine = next((word for word in reversed(sys.argv[1:]) if not word.startswith("-")), "")
    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=limits)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(engine), server)
    # The engine ends its plugins by this signal, and waits five seconds for one that ignores it.
    signal.signal(signal.SIGINT, lambda _signal, _frame: server.stop(grace=0.5))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    _end_with_parent()
    server.wait_for_termination()
    # A program that was cut off may still have threads; nothing of it counts any more.
    os._exit(0)


def _end_with_parent() -> None:
    """A killed engine must leave no host behind."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(1.0)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
