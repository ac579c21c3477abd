"""Runs the whole program, `__main__.py`, against Pulumi's mocks and returns what the engine would have been told."""

import asyncio
import contextvars
import json
import runpy
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, resource, rpc, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.stack import run_pulumi_func

from serinus.rollout.yaml_text import read_yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "serinus"
STACK = "test"


def engine_config(root: Path, changes: Mapping[str, object]) -> dict[str, str]:
    """The configuration as the engine hands it over: Pulumi.yaml's defaults under `changes`, all as text or JSON."""
    values = {**_defaults((root / "Pulumi.yaml").read_text()), **changes}
    return {f"{PROJECT}:{key}": v if isinstance(v, str) else json.dumps(v) for key, v in values.items()}


@cache
def _defaults(declaration: str) -> Mapping[str, object]:
    return {key: entry["default"] for key, entry in read_yaml(declaration)["config"].items()}


@dataclass(frozen=True)
class Registered:
    """One resource as the program registered it; inputs are wire-cased, dependencies are URNs."""

    urn: str
    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    dependencies: frozenset[str]
    create_timeout: str
    update_timeout: str
    provider: str

    @property
    def key(self) -> str:
        """Kind and name, such as `Ingress/chat-canary`."""
        return f"{self.type.split(':')[-1]}/{self.name}"


@dataclass
class Run:
    """A finished run of the program."""

    resources: dict[str, Registered] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Registered:
        return self.resources[key]

    def kinds(self, kind: str) -> list[Registered]:
        return [one for one in self.resources.values() if one.key.startswith(f"{kind}/")]

    def depends_on(self, key: str, other: str) -> bool:
        return self[other].urn in self[key].dependencies


class _Echo(mocks.Mocks):
    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program called {args.token}")


class _Recorder(mocks.MockMonitor):
    def __init__(self) -> None:
        super().__init__(_Echo())
        self.run = Run()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name of the engine's call
        answer = super().RegisterResource(request)
        one = Registered(
            urn=answer.urn,
            type=request.type,
            name=request.name,
            parent=request.parent,
            inputs=rpc.deserialize_properties(request.object),
            dependencies=frozenset(request.dependencies),
            create_timeout=request.customTimeouts.create,
            update_timeout=request.customTimeouts.update,
            provider=request.provider,
        )
        if one.type != "pulumi:pulumi:Stack":
            assert one.key not in self.run.resources, f"two resources are called {one.key}"
            self.run.resources[one.key] = one
            self.run.order.append(one.key)
        return answer


def run_program(changes: Mapping[str, object], preview: bool = False) -> Run:
    """Run the program with these settings over Pulumi.yaml's defaults."""
    return contextvars.copy_context().run(lambda: asyncio.run(_run(engine_config(ROOT, changes), preview, _start)))


def run_this(declare: Callable[[], None]) -> Run:
    """Run a program of a few lines, such as of one component."""
    return contextvars.copy_context().run(lambda: asyncio.run(_run({}, False, declare)))


# Where in the program a resource stands is for the engine's messages. Nobody reads it here; it takes a third of a run.
resource._get_stack_trace = source_pb2.StackTrace


async def _run(config: dict[str, str], preview: bool, declare: Callable[[], None]) -> Run:
    # The mocks open an event loop in every thread that lacks one and never close it: so the threads bring theirs.
    loops: list[asyncio.AbstractEventLoop] = []

    def bring_a_loop() -> None:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    executor = ThreadPoolExecutor(max_workers=16, initializer=bring_a_loop)
    asyncio.get_running_loop().set_default_executor(executor)
    recorder = _Recorder()
    try:
        mocks.set_mocks(_Echo(), project=PROJECT, stack=STACK, preview=preview, monitor=recorder)
        set_all_config(config)
        await run_pulumi_func(declare)
    finally:
        executor.shutdown()
        for loop in loops:
            loop.close()
    root = settings.get_root_resource()
    assert isinstance(root, pulumi.runtime.stack.Stack)
    recorder.run.exports = dict(root.outputs)
    return recorder.run


def _start() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
