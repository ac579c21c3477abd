"""The agent as the program declares it: what runs, and the little that it may do."""

import pulumi
import pytest

from tests.stack.mocked_engine import Run, run_program

PROOF = "sixteen letters or more"
AGENT = {"image": "registry.test/agent:1", "gatewayMetrics": ["http://gateway:9100/metrics"]}


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
            "agent": AGENT | {"prometheus": "http://prometheus:9090", "noticesSecret": "whom-to-tell"},
            "agentToken": PROOF,
        }
    )


def test_it_may_write_what_is_its_own_and_nothing_else(run: Run) -> None:
    rules = {
        (rule["apiGroups"][0], rule["resources"][0]): (set(rule["verbs"]), rule.get("resourceNames"))
        for rule in run["Role/chat-agent"].inputs["rules"]
    }
    assert run.kinds("ClusterRole") == []
    assert {resource for resource, (verbs, _) in rules.items() if verbs - {"get", "list", "watch"}} == {
        ("serinus.dev", "canaryreleases/status"),
        ("networking.k8s.io", "ingresses"),
        ("coordination.k8s.io", "leases"),
        ("", "configmaps"),
        ("", "events"),
    }
    unnamed = {resource for resource, (verbs, names) in rules.items() if verbs - {"get", "list", "watch"} and not names}
    assert unnamed == {("", "events")}
    assert rules["networking.k8s.io", "ingresses"] == ({"get", "patch"}, ["chat-canary"])


def test_what_its_role_names_is_declared_and_comes_first(run: Run) -> None:
    named = {
        f"{kind}/{name}"
        for rule in run["Role/chat-agent"].inputs["rules"]
        for kind in {"configmaps": ["ConfigMap"], "leases": ["Lease"]}.get(rule["resources"][0], [])
        for name in rule["resourceNames"]
    }
    assert len(named) == 4
    for key in named | {"ServiceAccount/chat-agent", "RoleBinding/chat-agent", "Secret/chat-agent-token"}:
        assert run.depends_on("Deployment/chat-agent", key), key


def test_its_pods_can_change_nothing_on_their_node(run: Run) -> None:
    pod = run["Deployment/chat-agent"].inputs["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["SERINUS_AGENT_GATEWAY"] == "http://gateway:9100/metrics"
    assert environment["SERINUS_AGENT_NOTICES"] == "/etc/serinus-notices"
    assert PROOF not in str(pod)


def test_the_token_is_a_secret_of_the_engine_too(run: Run) -> None:
    assert "Secret/chat-agent-token" in run.resources
    data = run["Secret/chat-agent-token"].inputs["stringData"]
    assert data[pulumi.runtime.rpc._special_sig_key] == pulumi.runtime.rpc._special_secret_sig
