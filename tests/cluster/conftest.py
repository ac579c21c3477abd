"""A stack of its own for each module of tests, on the local cluster, which is brought up once for all.

Each stack has its own namespace and host, so what one module leaves behind can't help or hurt another. So the next
module need not wait while it is taken away: pods take their time to end.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from local import engine, gateway, kubernetes, lock
from local.places import ROOT, Network
from local.traffic import Client
from serinus.cli.cluster import bring_up
from serinus.cli.stack import Result, Stack

PROGRAM = ("Pulumi.yaml", "__main__.py", "stacks", "components", "serinus", "policies")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            # A pod may take its time; a hang must still end.
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The local cluster, up and held for these tests alone."""
    with lock.held("make test"):
        yield bring_up()


class Leaving:
    """What is taken away while later tests run. Whatever fails of it is told at the end, or by `wait`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._going: list[Future[object]] = []

    def later(self, take_away: Callable[[], object]) -> None:
        self._going.append(self._pool.submit(take_away))

    def wait(self) -> None:
        """Wait until all is gone. Raises ExceptionGroup with what went wrong."""
        going, self._going = self._going, []
        wrong = [error for one in going if (error := one.exception())]
        if wrong:
            raise BaseExceptionGroup("not everything could be taken away", wrong)


@pytest.fixture(scope="session")
def leaving(network: Network) -> Iterator[Leaving]:
    """What takes away in the background; the cluster is held until all is gone."""
    # Two at a time: a third engine would only slow down the tests that run meanwhile.
    with ThreadPoolExecutor(max_workers=2) as pool:
        made = Leaving(pool)
        yield made
        made.wait()


class Project:
    """A copy of the project (by links) with a stack file and releases of its own, driven as a person would."""

    def __init__(self, folder: Path, name: str, network: Network) -> None:
        self.name = name
        self.host = f"{name}.serinus.test"
        self.url = network.gateway
        self.folder = folder
        folder.mkdir()
        for part in PROGRAM:
            (folder / part).symlink_to(ROOT / part)
        (folder / "releases").mkdir()
        for release in (ROOT / "releases").glob("*.yaml"):
            (folder / "releases" / release.name).write_text(release.read_text())
        self.stack = Stack(folder, name, engine.environment(), "dev", folder / "pulumi.log")

    def write_settings(self, **changes: object) -> None:
        """Write the stack's file: the dev stack's settings, this project's names, `changes`; None drops a key."""
        file = self.folder / f"Pulumi.{self.name}.yaml"
        before = yaml.safe_load(file.read_text()) if file.exists() else {}
        config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
        own = {"namespace": self.name, "host": self.host, "stable": "echo-v1", "canary": "echo-v2", "weight": 5}
        for key, value in {**own, **changes}.items():
            config[f"serinus:{key}"] = value
        before["config"] = {key: value for key, value in config.items() if value is not None}
        file.write_text(yaml.safe_dump(before))

    def create(self, **changes: object) -> None:
        """Write the stack's file and create the stack. What a killed run left of it goes first: it would count here."""
        self.write_settings(**changes)
        if self.stack.pulumi("stack", "select", self.name).ok:
            self.close()
            self.write_settings(**changes)
        selected = self.stack.select()
        assert selected.ok, selected.output

    def up_at(self, weight: int) -> Result:
        """`pulumi config set serinus:weight N && pulumi up`, until the gateway routes by it."""
        assert self.stack.set("weight", str(weight)).ok
        result = self.stack.up()
        assert result.ok, result.output
        gateway.wait_for_weight(self.name, "chat", weight)
        return result

    def client(self, connections: int = 16) -> Client:
        return Client(self.url, self.host, connections)

    def annotations(self, ingress: str = "chat-canary") -> Mapping[str, str]:
        """The annotations of an Ingress as the API server has them now."""
        found = yaml.safe_load(kubernetes.kubectl("-n", self.name, "get", "ingress", ingress, "-o", "yaml"))
        answer: Mapping[str, str] = found["metadata"]["annotations"]
        return answer

    def close(self) -> None:
        self.stack.pulumi("cancel", "--yes", "--stack", self.name)
        gone = self.stack.destroy()
        assert gone.ok, gone.output
        assert self.stack.pulumi("stack", "rm", "--yes", "--stack", self.name).ok


@pytest.fixture(scope="module")
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, network: Network, leaving: Leaving
) -> Iterator[Project]:
    """A project with a stack that does not exist in the cluster yet; it goes after the module's last test."""
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    made = Project(tmp_path_factory.mktemp("project") / name, name, network)
    made.create()
    yield made
    leaving.later(made.close)
