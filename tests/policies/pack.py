"""The policy pack as the engine runs it: a process of its own that is asked over gRPC.

Only the `pulumi` program is a fake here: it stands on the pack's PATH and prints a checkpoint that the test wrote.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
URN = f"urn:pulumi:test::serinus::serinus:components:TrafficSplit${INGRESS}::chat-canary"

_FAKE_PULUMI = """#!{python}
# A fake of the `pulumi` program: it knows `stack export` of one stack, and notes each call.
import pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1:] != ["stack", "export", "--non-interactive", "--stack", "organization/serinus/test"]:
    sys.exit(f"the fake pulumi does not know {{sys.argv[1:]}}")
if (here / "hangs").exists():
    import threading
    threading.Event().wait()
if (here / "error").exists():
    sys.exit((here / "error").read_text())
print((here / "checkpoint.json").read_text())
"""


def ingress(weight: object, backend: str = "chat-v2", **annotations: object) -> dict[str, Any]:
    """A canary Ingress as the program registers it; None leaves the weight's annotation out."""
    prefix = "nginx.ingress.kubernetes.io"
    written = {f"{prefix}/canary": "true"} | ({} if weight is None else {f"{prefix}/canary-weight": weight})
    written |= {f"{prefix}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": backend, "port": {"name": "http"}}}}
    return {
        "metadata": {"name": "chat-canary", "annotations": written},
        "spec": {"rules": [{"host": "chat.example.com", "http": {"paths": [path]}}]},
    }


def labelled(made: Mapping[str, Any], annotations: Mapping[str, Any], name: str = "chat-canary") -> dict[str, Any]:
    """An object of the service `chat` in the namespace `serinus`, with these annotations and none else."""
    own = {"name": name, "namespace": "serinus", "annotations": dict(annotations)}
    return {**made, "metadata": {**made["metadata"], **own, "labels": {"serinus.dev/service": "chat"}}}


def state(inputs: Mapping[str, Any], **changes: object) -> dict[str, Any]:
    """A resource's state in the checkpoint, where the cluster answered what it was asked."""
    return {"urn": URN, "type": INGRESS, "inputs": dict(inputs), "outputs": dict(inputs)} | changes


def checkpoint(*states: Mapping[str, Any], pending: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `pulumi stack export` prints."""
    deployment: dict[str, Any] = {"resources": list(states)}
    if pending is not None:
        deployment["pending_operations"] = [{"type": "updating", "resource": pending}]
    return {"version": 3, "deployment": deployment}


@dataclass
class Pack:
    """A running pack. `provider` are the inputs of the provider of what it is asked about; None: there is none."""

    stub: analyzer_pb2_grpc.AnalyzerStub
    bin: Path
    provider: Mapping[str, str] | None = None

    def analyze(self, props: Mapping[str, Any], urn: str = URN, type_: str = INGRESS) -> list[Any]:
        """Return the pack's diagnostics for one resource."""
        properties = struct_pb2.Struct()
        properties.update(props)
        request = analyzer_pb2.AnalyzeRequest(
            urn=urn,
            type=type_,
            name=urn.split("::")[-1],
            properties=properties,
            options=analyzer_pb2.AnalyzerResourceOptions(),
            provider=self._provider(),
        )
        return list(self.stub.Analyze(request, timeout=30).diagnostics)

    def _provider(self) -> analyzer_pb2.AnalyzerProviderResource | None:
        if self.provider is None:
            return None
        properties = struct_pb2.Struct()
        properties.update(self.provider)
        type_ = "pulumi:providers:kubernetes"
        urn = f"urn:pulumi:test::serinus::{type_}::cluster"
        return analyzer_pb2.AnalyzerProviderResource(type=type_, properties=properties, urn=urn, name="cluster")

    def refusals(self, props: Mapping[str, Any], urn: str = URN, type_: str = INGRESS) -> list[str]:
        """Return the messages of the mandatory violations: those that stop a preview and an update."""
        return [
            one.message
            for one in self.analyze(props, urn, type_)
            if one.enforcementLevel == analyzer_pb2.EnforcementLevel.MANDATORY
        ]

    def configure(self, policy: str, **properties: object) -> None:
        """What `--policy-pack-config` leads to."""
        values = struct_pb2.Struct()
        values.update(properties)
        config = analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.EnforcementLevel.MANDATORY, properties=values)
        self.stub.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig={policy: config}), timeout=30)

    def info(self) -> analyzer_pb2.AnalyzerInfo:
        return self.stub.GetAnalyzerInfo(empty_pb2.Empty(), timeout=30)

    def exports(self) -> int:
        """How often the pack has asked for the checkpoint."""
        calls = self.bin / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


def fake_pulumi(bin_: Path, held: Any, error: str | None = None, hangs: bool = False) -> None:
    """Put a fake `pulumi` into `bin_` that prints `held`, fails with `error`, or never ends."""
    program = bin_ / "pulumi"
    program.write_text(_FAKE_PULUMI.format(python=sys.executable))
    program.chmod(0o755)
    (bin_ / "checkpoint.json").write_text(json.dumps(held))
    if error is not None:
        (bin_ / "error").write_text(error)
    if hangs:
        (bin_ / "hangs").touch()


@contextmanager
def running_pack(bin_: Path, environ: Mapping[str, str] | None = None) -> Iterator[Pack]:
    """Start the pack with `bin_` as its PATH and `environ` added to its environment."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", str(ROOT / "policies")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT / "policies",
        env=clean | {"PATH": str(bin_)} | (environ or {}),
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Pack(analyzer_pb2_grpc.AnalyzerStub(channel), bin_)
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()
