"""What a stack declares so that the cluster's agent serves it, and what the agent itself is made of."""

from typing import Any

import pulumi
import pytest

from components.release_agent import ReleaseAgent, ReleaseAgentArgs
from serinus.rollout import agency
from serinus.rollout.agency_objects import Installation, installed
from tests.stack.mocked_engine import Run, run_program, run_this

PROOF = "sixteen letters or more"
URLS = ("http://gateway:9100/metrics", "http://10.0.0.1:9100/metrics")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    file = tmp_path_factory.mktemp("kube") / "config"
    file.write_text("contexts: [{name: here}]\n")
    return run_program(
        {
            "kubeconfig": str(file),
            "context": "here",
            "host": "chat.example.com",
            "stable": "v1",
            "canary": "v2",
            "weight": 5,
            "guard": True,
            "agent": {"prometheus": "http://prometheus:9090", "noticesSecret": "whom-to-tell"},
            "agentToken": PROOF,
        }
    )


def plain(value: Any) -> Any:
    """Whole numbers as integers: the engine's protocol has only floats."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return int(value) if isinstance(value, float) else value


def kinds(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in objects}


def test_in_a_services_namespace_it_may_write_what_is_its_own_and_nothing_else(run: Run) -> None:
    rules = {
        (rule["apiGroups"][0], rule["resources"][0]): (set(rule["verbs"]), rule.get("resourceNames"))
        for rule in run["Role/chat-agent"].inputs["rules"]
    }
    assert run.kinds("ClusterRole") == []
    writes = {resource for resource, (verbs, _) in rules.items() if verbs - {"get", "list", "watch"}}
    assert writes == {
        ("serinus.dev", "canaryreleases/status"),
        ("networking.k8s.io", "ingresses"),
        ("", "configmaps"),
        ("", "events"),
    }
    assert {resource for resource in writes if not rules[resource][1]} == {("", "events")}
    assert rules["networking.k8s.io", "ingresses"] == ({"get", "patch"}, ["chat-canary"])
    assert rules["", "secrets"] == ({"get"}, ["chat-agent", "whom-to-tell"])
    (subject,) = run["RoleBinding/chat-agent"].inputs["subjects"]
    assert subject == agency.SUBJECT


def test_it_is_bound_last_once_all_is_there_that_it_reads_and_writes(run: Run) -> None:
    (books,) = [
        rule["resourceNames"] for rule in run["Role/chat-agent"].inputs["rules"] if rule["resources"] == ["configmaps"]
    ]
    assert len(books) == 3
    for key in (*(f"ConfigMap/{book}" for book in books), "Secret/chat-agent", "Role/chat-agent"):
        assert run.depends_on("RoleBinding/chat-agent", key), key


def test_the_terms_are_a_secret_and_its_token_is_one_of_the_engine_too(run: Run) -> None:
    terms = run["Secret/chat-agent"].inputs["stringData"]
    assert terms[pulumi.runtime.rpc._special_sig_key] == pulumi.runtime.rpc._special_secret_sig
    assert plain(terms["value"]) == {
        "token": PROOF,
        "prometheus": "http://prometheus:9090",
        "blindHoldSeconds": "120",
        "blindDecaySeconds": "0",
        "noticesSecret": "whom-to-tell",
    }


def test_cluster_wide_it_only_sees_that_there_are_releases() -> None:
    objects = kinds(installed(Installation("agent:1", URLS)))
    (seeing,) = objects["ClusterRole"]["rules"]
    assert seeing == {
        "apiGroups": ["serinus.dev"],
        "resources": ["canaryreleases"],
        "verbs": ["get", "list", "watch"],
    }
    (leading,) = objects["Role"]["rules"]
    assert (leading["resources"], leading["resourceNames"], leading["verbs"]) == (
        ["leases"],
        ["serinus-agent"],
        ["get", "update"],
    )


def test_its_pods_can_change_nothing_on_their_node_and_two_of_them_outlast_a_drain() -> None:
    objects = kinds(installed(Installation("agent:1", URLS, "http://prometheus:9090")))
    spec = objects["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert (spec["replicas"], objects["PodDisruptionBudget"]["spec"]["maxUnavailable"]) == (2, 1)
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"] == {"memory": "300Mi"}
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["SERINUS_AGENT_GATEWAY"] == " ".join(URLS)
    assert environment["SERINUS_AGENT_PROMETHEUS"] == "http://prometheus:9090"


def test_by_pulumi_come_the_same_objects_as_by_the_command() -> None:
    args = ReleaseAgentArgs("agent:1", URLS, "http://prometheus:9090", replicas=3)
    run = run_this(lambda: ReleaseAgent(args) and None)
    for document in installed(Installation("agent:1", URLS, "http://prometheus:9090", 3), managed_by="pulumi"):
        declared = run[f"{document['kind']}/serinus-agent"].inputs
        assert plain(declared) == {**document, "apiVersion": declared["apiVersion"], "kind": declared["kind"]}
        assert (declared["kind"], declared["apiVersion"]) == (document["kind"], document["apiVersion"])
    assert run.depends_on("Deployment/serinus-agent", "RoleBinding/serinus-agent")
