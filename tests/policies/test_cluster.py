"""Reading the cluster: with which credentials, how often, for how long, and what is said when it can't be read."""

import base64
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi_policy import ResourceValidationArgs
from pulumi_policy.policy import PolicyProviderResource

from policies import cluster
from policies.cluster import ClusterError, Live, read
from policies.kubeconfig import KubeconfigError, access
from tests.policies.api_server import TOKEN, Documents, api_server
from tests.policies.direct import NO_OPTIONS
from tests.policies.pack import INGRESS, URN
from tests.policies.world import V1, canary, deployment, stable


@pytest.fixture(scope="module")
def server() -> Iterator[Documents]:
    with api_server() as documents:
        yield documents


@pytest.fixture(autouse=True)
def _nothing_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_last", cluster._Answer())


def args(kubeconfig: object, urn: str = URN, provided: bool = True, **labels: str) -> ResourceValidationArgs:
    """The canary Ingress of a provider with this kubeconfig."""
    props = canary(5)
    props["metadata"]["labels"] = labels or props["metadata"]["labels"]
    provider = PolicyProviderResource(
        "pulumi:providers:kubernetes", {"kubeconfig": str(kubeconfig), "context": "here"}, "urn", "cluster"
    )
    return ResourceValidationArgs(INGRESS, props, urn, "chat-canary", NO_OPTIONS, provider if provided else None)


def asked(server: Documents, file: object, urn: str = URN) -> Live:
    found = read(args(file, urn))
    assert found is not None
    return found


def test_the_objects_of_the_service_are_read_by_name(server: Documents, tmp_path: Path) -> None:
    server.serve(stable(), canary(5), release={"spec": {}}, v1=deployment(V1))
    found = asked(server, server.kubeconfig(tmp_path))
    assert (set(found.ingresses), set(found.deployments)) == ({"chat-stable", "chat-canary"}, {"chat-v1"})
    assert found.release == {"spec": {}}
    server.serve()
    assert asked(server, server.kubeconfig(tmp_path), "another") == Live({}, {}, None), "the first update of all"


def test_rules_of_one_resource_share_an_answer_and_the_next_resource_gets_a_new_one(
    server: Documents, tmp_path: Path
) -> None:
    server.serve(canary(5))
    file = server.kubeconfig(tmp_path)
    server.asked.clear()
    for urn in (URN, URN, "another", "another"):
        asked(server, file, urn)
    assert len(server.asked) == 2 * 3


def test_what_has_no_service_or_no_cluster_is_not_asked_about(tmp_path: Path) -> None:
    assert read(args("/nowhere", provided=False)) is None
    assert read(args("/nowhere", app="other")) is None


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (403, "the API server answers 403 to /apis/networking.k8s.io/v1/namespaces/serinus/ingresses"),
        (500, "the API server answers 500"),
        ([1], "is no JSON object"),
        ({"items": [7]}, "is not understood"),
        ({"items": [{"metadata": {}}]}, "is not understood"),
    ],
)
def test_an_answer_that_is_none_is_told(server: Documents, tmp_path: Path, held: Any, why: str) -> None:
    server.serve()
    server.held["/apis/networking.k8s.io/v1/namespaces/serinus/ingresses"] = held
    with pytest.raises(ClusterError, match=why):
        read(args(server.kubeconfig(tmp_path)))


def test_a_wrong_token_is_told_and_not_repeated(server: Documents, tmp_path: Path) -> None:
    with pytest.raises(ClusterError) as refused:
        read(args(server.kubeconfig(tmp_path, token="the-wrong-one")))  # noqa: S106 (it opens nothing)
    assert "answers 401" in str(refused.value)
    assert "the-wrong-one" not in str(refused.value)


def test_a_cluster_that_does_not_answer_is_given_up_and_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        documents = Documents(url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        file = documents.kubeconfig(tmp_path)
        for urn in (URN, "another"):
            with pytest.raises(ClusterError, match="did not answer"):
                read(args(file, urn))
        silent.settimeout(5)
        silent.accept()[0].close()
        silent.settimeout(0.05)
        with pytest.raises(TimeoutError):
            silent.accept()


def test_a_refused_connection_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(ClusterError, match=f"127.0.0.1:{port} did not answer"):
        read(args(Documents(url=f"http://127.0.0.1:{port}").kubeconfig(tmp_path)))


def test_a_kubeconfig_may_be_given_as_a_file_as_its_content_or_by_the_environment(
    server: Documents, tmp_path: Path
) -> None:
    file = server.kubeconfig(tmp_path)
    ways = [
        access(str(file), "here", {}),
        access("kubeconfig", "", {"PWD": str(tmp_path)}),
        access(file.read_text(), "here", {}),
        access(yaml.safe_dump(json.loads(file.read_text())), "", {}),
        access("", "here", {"KUBECONFIG": f"{tmp_path / 'missing'}:{file}"}),
    ]
    assert {(one.server, one.token) for one in ways} == {(server.url, TOKEN)}


def test_credentials_come_as_a_token_a_file_or_from_a_program(server: Documents, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    says = f"import json, os; assert os.environ['WHO'] and os.environ['KUBERNETES_EXEC_INFO']; print(json.dumps({{'status': {{'token': '{TOKEN}'}}}}))"  # noqa: E501 (a program on one line)
    program = {"command": sys.executable, "args": ["-c", says], "env": [{"name": "WHO", "value": "ada"}]}
    for user in ({"token": TOKEN}, {"tokenFile": "token"}, {"exec": program}):
        assert access(str(server.kubeconfig(tmp_path, **user)), "here", {}).token == TOKEN


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"contexts": []}, "no context 'here'"),
    ({"clusters": []}, "no cluster 'c'"),
    ({"users": []}, "no user 'u'"),
    ({"contexts": None}, "no context 'here'"),
    ({"clusters": [{"name": "c", "cluster": {}}]}, "lacks 'server'"),
    ({"clusters": [{"name": "c", "cluster": {"server": "https://h", "certificate-authority-data": "!"}}]}, "Error"),
    ({"users": [{"name": "u", "user": {"tokenFile": "missing"}}]}, "FileNotFoundError"),
    ({"users": [{"name": "u", "user": {"exec": {"command": "/bin/false"}}}]}, "CalledProcessError"),
    ({"users": [{"name": "u", "user": {"exec": {"command": "/bin/true"}}}]}, "JSONDecodeError"),
]


@pytest.mark.parametrize(("changes", "why"), WRONG)
def test_a_kubeconfig_that_can_not_be_used_is_told(
    server: Documents, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    file = server.kubeconfig(tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(KubeconfigError, match=why):
        access(str(file), "here", {})


@pytest.mark.parametrize("content", ["", "[]", "{", "a: b: c"])
def test_a_file_that_is_no_kubeconfig_is_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(content)
    with pytest.raises(KubeconfigError):
        access(str(file), "here", {})
    with pytest.raises(KubeconfigError):
        access(str(tmp_path / "missing"), "here", {})


def test_what_is_broken_is_named_without_its_content(server: Documents, tmp_path: Path) -> None:
    secret = base64.b64encode(b"a private key").decode()
    file = server.kubeconfig(tmp_path, **{"client-certificate-data": secret, "client-key-data": secret})
    file.write_text(file.read_text().replace("http://", "https://"))
    with pytest.raises(KubeconfigError) as refused:
        access(str(file), "here", {})
    assert "private" not in str(refused.value)
    assert secret not in str(refused.value)
