"""What the program declares, seen where the engine sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from serinus.rollout.manifest import load_release
from tests.stack.mocked_engine import ROOT, Run, run_program

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
Program = Callable[..., Run]


@pytest.fixture
def program(kubeconfig: Path) -> Program:
    """Runs the program with the settings of a small canary rollout, changed by keyword."""

    def run(preview: bool = False, **changes: object) -> Run:
        base = {
            "kubeconfig": str(kubeconfig),
            "context": "here",
            "host": "chat.example.com",
            "stable": "v1",
            "canary": "v2",
            "weight": 5,
        }
        return run_program(base | changes, preview=preview)

    return run


def differences(one: object, other: object, path: str = "") -> list[str]:
    """The paths at which two trees of inputs differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return [d for key in sorted(keys) for d in differences(one.get(key), other.get(key), f"{path}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{path}[{i}]")]
    return [] if one == other else [path]


def changed(before: Run, after: Run) -> list[str]:
    """What an update would change, as `Kind/name.path`."""
    assert before.resources.keys() == after.resources.keys()
    return sorted(
        f"{key}{path}" for key, one in before.resources.items() for path in differences(one.inputs, after[key].inputs)
    )


def backend(ingress: dict[str, Any]) -> str:
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    return str(path["backend"]["service"]["name"])


@pytest.mark.parametrize("preview", [False, True])
def test_a_step_changes_exactly_one_annotation(program: Program, preview: bool) -> None:
    before, after = program(weight=5, preview=preview), program(weight=20, preview=preview)
    assert changed(before, after) == [f"Ingress/chat-canary.metadata.annotations.{WEIGHT}"]
    assert after["Ingress/chat-canary"].inputs["metadata"]["annotations"][WEIGHT] == "20"


def test_a_preview_declares_what_an_update_declares(program: Program) -> None:
    assert changed(program(preview=True), program(preview=False)) == []


def test_a_swap_changes_only_the_ingresses(program: Program) -> None:
    before = program(weight=100)
    after = program(stable="v2", canary="", weight=0, retain=["v1"])
    assert changed(before, after) == [
        f"Ingress/chat-canary.metadata.annotations.{WEIGHT}",
        "Ingress/chat-stable.spec.rules[0].http.paths[0].backend.service.name",
        "TrafficSplit/chat.stable",
    ]


def test_without_a_canary_its_ingress_is_parked_on_the_stable_release(program: Program) -> None:
    run = program(canary="", weight=0)
    canary = run["Ingress/chat-canary"].inputs
    assert backend(canary) == backend(run["Ingress/chat-stable"].inputs) == "chat-v1"
    assert canary["metadata"]["annotations"][WEIGHT] == "0"


def test_the_canary_ingress_is_the_stable_one_with_another_backend_and_the_canary_annotations(program: Program) -> None:
    run = program(weight=5)
    stable, canary = run["Ingress/chat-stable"].inputs, run["Ingress/chat-canary"].inputs
    assert backend(canary) == "chat-v2"
    assert differences(stable, canary) == [
        ".metadata.annotations.nginx.ingress.kubernetes.io/canary",
        f".metadata.annotations.{WEIGHT}",
        ".metadata.annotations.serinus.dev/ladder",
        ".metadata.labels.app.kubernetes.io/instance",
        ".metadata.name",
        ".spec.rules[0].http.paths[0].backend.service.name",
    ]


def test_traffic_moves_only_after_the_release_is_ready_and_the_stable_ingress_moves_first(program: Program) -> None:
    run = program()
    for kind in ("Deployment", "Service"):
        assert run.depends_on("Ingress/chat-stable", f"{kind}/chat-v1")
        assert run.depends_on("Ingress/chat-canary", f"{kind}/chat-v2")
        assert not run.depends_on("Ingress/chat-stable", f"{kind}/chat-v2"), "a canary must not hold the stable up"
    assert run.depends_on("Ingress/chat-canary", "Ingress/chat-stable")


def test_a_release_is_ready_in_the_endpoints_before_its_deployment_counts_as_ready(program: Program) -> None:
    run = program()
    for name in ("chat-v1", "chat-v2"):
        assert run[f"Service/{name}"].inputs["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
        deployment = run[f"Deployment/{name}"].inputs
        assert "annotations" not in deployment["metadata"], "the Deployment is the one that is waited for"
        assert deployment["spec"]["minReadySeconds"] >= 2


def test_nothing_forces_its_way_over_another_field_manager(program: Program) -> None:
    text = json.dumps([one.inputs for one in program().resources.values()])
    assert "patchForce" not in text
    assert "enablePatchForce" not in text


def test_everything_goes_through_the_named_provider_into_the_stacks_own_namespace(program: Program) -> None:
    run = program()
    provider = run["kubernetes/cluster"]
    assert provider.inputs["context"] == "here"
    for one in run.resources.values():
        if one.type.startswith("kubernetes:"):
            assert one.provider.startswith(f"{provider.urn}::"), one.key
        if one.type.startswith("kubernetes:") and one.key != "Namespace/serinus":
            assert one.inputs["metadata"]["namespace"] == "serinus", one.key
            assert run["Namespace/serinus"].urn in one.dependencies, one.key


def test_objects_are_named_after_releases_and_ingresses_after_roles(program: Program) -> None:
    run = program(retain=["echo-v1"])
    v1, v2, echo = (load_release(ROOT / "releases" / f"{name}.yaml") for name in ("v1", "v2", "echo-v1"))
    assert {one.inputs["metadata"]["name"] for one in run.kinds("Deployment")} == {"chat-v1", "chat-v2", "chat-echo-v1"}
    assert {one.inputs["metadata"]["name"] for one in run.kinds("Service")} == {"chat-v1", "chat-v2", "chat-echo-v1"}
    assert {one.inputs["metadata"]["name"] for one in run.kinds("Ingress")} == {"chat-stable", "chat-canary"}
    assert {one.inputs["metadata"]["name"] for one in run.kinds("ConfigMap")} == {
        f"chat-{release.id}" for release in (v1, v2, echo)
    }
    for one in run.resources.values():
        if one.type.startswith("kubernetes:"):
            assert one.name == one.inputs["metadata"]["name"]


def test_every_service_finds_the_pods_of_its_deployment(program: Program) -> None:
    run = program()
    for service in run.kinds("Service"):
        deployment = run[f"Deployment/{service.name}"].inputs["spec"]
        selector = service.inputs["spec"]["selector"]
        assert selector == deployment["selector"]["matchLabels"]
        assert selector.items() <= deployment["template"]["metadata"]["labels"].items()
        assert run[f"PodDisruptionBudget/{service.name}"].inputs["spec"]["selector"]["matchLabels"] == selector
        (port,) = service.inputs["spec"]["ports"]
        (container,) = deployment["template"]["spec"]["containers"]
        assert port["targetPort"] == container["ports"][0]["name"] == port["name"]


def test_the_pod_reads_the_releases_document(program: Program) -> None:
    run = program()
    release = load_release(ROOT / "releases" / "v1.yaml")
    document = run[f"ConfigMap/chat-{release.id}"].inputs
    assert document["immutable"] is True
    assert json.loads(document["data"]["release.json"]) == release.document()
    pod = run["Deployment/chat-v1"].inputs["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["SERINUS_RELEASE_FILE"] == "/etc/serinus/release.json"
    assert environment["BENTOML_DO_NOT_TRACK"] == "True", "a pod that sees prompts reports to nobody"
    volumes = {one["name"]: one for one in pod["volumes"]}
    (mount,) = [one for one in container["volumeMounts"] if one["mountPath"] == "/etc/serinus"]
    assert volumes[mount["name"]]["configMap"]["name"] == f"chat-{release.id}"
    assert run.depends_on("Deployment/chat-v1", f"ConfigMap/chat-{release.id}")


def test_a_pod_has_the_declared_time_to_load_and_not_more(program: Program) -> None:
    run = program(stable="echo-v1", canary="", weight=0)
    release = load_release(ROOT / "releases" / "echo-v1.yaml")
    deployment = run["Deployment/chat-echo-v1"]
    patience = release.load_seconds + int(deployment.inputs["spec"]["minReadySeconds"])
    assert deployment.create_timeout == f"{patience}s"
    assert deployment.update_timeout == f"{patience * release.replicas}s"
    assert deployment.inputs["spec"]["progressDeadlineSeconds"] == patience
    probe = deployment.inputs["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= release.load_seconds


def test_a_pod_that_goes_has_time_for_its_longest_answer(program: Program) -> None:
    pod = program()["Deployment/chat-v1"].inputs["spec"]["template"]["spec"]
    release = load_release(ROOT / "releases" / "v1.yaml")
    pre_stop = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pre_stop >= 5
    assert pod["terminationGracePeriodSeconds"] > pre_stop + release.drain_seconds
    environment = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert float(environment["SERINUS_DEADLINE_SECONDS"]) == release.drain_seconds


def test_pods_share_the_key_of_their_hashes_by_a_secret(program: Program) -> None:
    run = program(hashKey="not-for-the-eyes-of-many")
    for deployment in run.kinds("Deployment"):
        pod = deployment.inputs["spec"]["template"]["spec"]
        environment = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
        (volume,) = [one for one in pod["volumes"] if "secret" in one]
        (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == volume["name"]]
        assert environment["SERINUS_KEY_FILE"] == f"{mount['mountPath']}/key"
        assert run.depends_on(deployment.key, f"Secret/{volume['secret']['secretName']}")
        assert "not-for-the-eyes" not in json.dumps(deployment.inputs)
    assert not program().kinds("Secret")


def test_pods_are_locked_down(program: Program) -> None:
    for deployment in program().kinds("Deployment"):
        pod = deployment.inputs["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 1034,
            "runAsGroup": 1034,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_directories_of_the_node_are_mounted_read_only(program: Program) -> None:
    run = program(nodeMounts=[{"hostPath": "/srv/models", "mountPath": "/models"}])
    pod = run["Deployment/chat-v2"].inputs["spec"]["template"]["spec"]
    (volume,) = [one for one in pod["volumes"] if "hostPath" in one]
    (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == volume["name"]]
    assert volume["hostPath"] == {"path": "/srv/models", "type": "Directory"}
    assert mount == {"name": volume["name"], "mountPath": "/models", "readOnly": True}


def test_gpus_are_asked_for_only_where_the_settings_say_so(program: Program) -> None:
    without = program()["Deployment/chat-v1"].inputs["spec"]["template"]["spec"]
    assert "nvidia.com/gpu" not in json.dumps(without)
    pod = program(gpu=2)["Deployment/chat-v1"].inputs["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_only_pod_of_a_release_is_never_evicted_but_one_of_two_may_be(program: Program) -> None:
    run = program(canary="gpu-v1")
    assert run["PodDisruptionBudget/chat-v1"].inputs["spec"]["maxUnavailable"] == 0
    assert run["PodDisruptionBudget/chat-gpu-v1"].inputs["spec"]["maxUnavailable"] == 1


def test_the_stack_exports_where_users_come_in_and_what_they_get(program: Program) -> None:
    v1, v2 = (load_release(ROOT / "releases" / f"{name}.yaml") for name in ("v1", "v2"))
    assert program(weight=20).exports == {
        "url": "http://chat.example.com",
        "weight": 20,
        "stable": v1.id,
        "canary": v2.id,
    }
    assert program(canary="", weight=0).exports["canary"] is None


def test_nothing_of_the_kubeconfig_reaches_the_state(program: Program, kubeconfig: Path) -> None:
    kubeconfig.write_text(kubeconfig.read_text() + "users: [{name: u, user: {token: not-for-the-state}}]\n")
    assert "not-for-the-state" not in json.dumps([one.inputs for one in program().resources.values()])


def test_wrong_settings_end_the_program_before_the_first_resource(program: Program) -> None:
    with pytest.raises(pulumi.RunError, match=r"serinus:weight: '5%' is not allowed") as refused:
        program(weight="5%")
    assert "Traceback" not in str(refused.value)


def kinds(run: Run) -> set[str]:
    """The kinds of the Kubernetes objects that are declared."""
    return {key.partition("/")[0] for key, one in run.resources.items() if one.type.startswith("kubernetes:")}


def test_a_swap_notes_the_way_back_on_the_ingress_that_takes_it(program: Program) -> None:
    notes = [
        program(canary="", weight=0, **changes)["Ingress/chat-stable"]
        .inputs["metadata"]["annotations"]
        .get("serinus.dev/previous")
        for changes in ({"stable": "v2", "previous": "v1"}, {"stable": "v1", "previous": "v1"}, {"stable": "v1"})
    ]
    assert notes == ["chat-v1", None, None]


def test_the_object_carries_what_the_rules_need_beside_the_ladder(program: Program) -> None:
    override = {"by": "ada", "reason": "a fix", "until": "2026-11-22T12:00:00Z"}
    expected = {"requestsPerSecond": 20, "perReplica": 5}
    budget = {"perDay": 50, "outputPerMillion": 1.5}
    spec = program(guard=True, override=override, expected=expected, budget=budget)["CanaryRelease/chat"].inputs["spec"]
    assert spec["budget"] == {"perDay": 50, "inputPerMillion": 0, "outputPerMillion": 1.5, "action": "hold"}
    assert spec["override"] == override
    assert spec["expected"].items() >= {"requestsPerSecond": 20, "perReplica": 5}.items()
    assert {"override", "expected", "budget"}.isdisjoint(program(guard=True)["CanaryRelease/chat"].inputs["spec"])


EIGHT = {"pods": 8}


def counted(run: Run) -> dict[str, tuple[float, float]]:
    """The least and the most pods of each release."""
    found = {one.name: one.inputs["spec"] for one in run.kinds("HorizontalPodAutoscaler")}
    return {name: (spec["minReplicas"], spec["maxReplicas"]) for name, spec in found.items()}


def test_without_a_capacity_a_release_has_the_pods_of_its_file(program: Program) -> None:
    assert counted(program()) == {}
    assert program()["Deployment/chat-v1"].inputs["spec"]["replicas"] == 1


@pytest.mark.parametrize(("weight", "pods"), [(0, 1), (5, 2), (20, 4), (50, 8), (100, 8)])
def test_the_canarys_pods_follow_its_share_and_the_stables_stay(program: Program, weight: int, pods: int) -> None:
    assert counted(program(capacity=EIGHT, weight=weight)) == {"chat-v1": (8, 8), "chat-v2": (pods, pods)}


def test_a_step_changes_the_share_and_the_canarys_pods_and_neither_waits_for_the_other(program: Program) -> None:
    before, after = program(capacity=EIGHT, weight=5), program(capacity=EIGHT, weight=20)
    assert changed(before, after) == [
        # Only what it would be born with: once it runs, the engine leaves it alone.
        "Deployment/chat-v2.spec.replicas",
        "HorizontalPodAutoscaler/chat-v2.spec.maxReplicas",
        "HorizontalPodAutoscaler/chat-v2.spec.minReplicas",
        f"Ingress/chat-canary.metadata.annotations.{WEIGHT}",
    ]
    for ingress in ("Ingress/chat-stable", "Ingress/chat-canary"):
        assert not any(after.depends_on(ingress, one.key) for one in after.kinds("HorizontalPodAutoscaler"))


def test_a_swap_leaves_all_pods_for_the_way_back(program: Program) -> None:
    before = program(capacity=EIGHT, weight=100)
    after = program(capacity=EIGHT, stable="v2", canary="", weight=0, previous="v1")
    assert counted(before) == counted(after) == {"chat-v1": (8, 8), "chat-v2": (8, 8)}
    kept = program(capacity=EIGHT, stable="v2", canary="", weight=0, retain=["v1"])
    assert counted(kept) == {"chat-v1": (1, 1), "chat-v2": (8, 8)}


def test_a_busy_release_grows_from_what_its_share_asks_for(program: Program) -> None:
    run = program(capacity={"pods": 8, "autoscale": {"most": 12, "cpuPercent": 60}}, weight=5)
    assert counted(run) == {"chat-v1": (8, 12), "chat-v2": (2, 12)}
    (metric,) = run["HorizontalPodAutoscaler/chat-v2"].inputs["spec"]["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}


GUARD = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def test_a_guard_is_declared_only_where_it_is_asked_for(program: Program) -> None:
    assert kinds(program(guard=True)) - kinds(program()) == {*GUARD, "CanaryRelease"}


def test_an_ingress_is_born_under_guard_and_the_rollout_is_declared_when_the_ingress_has_it(program: Program) -> None:
    run = program(guard=True)
    for policy in (one.key for kind in GUARD for one in run.kinds(kind)):
        for ingress in ("Ingress/chat-stable", "Ingress/chat-canary"):
            assert run.depends_on(ingress, policy)
    (release,) = (one for one in run.kinds("CanaryRelease") if one.type.startswith("kubernetes:"))
    assert run.depends_on(release.key, "Ingress/chat-canary")
    assert run.depends_on(release.key, "Ingress/chat-stable")
    for policy in (one.key for kind in GUARD for one in run.kinds(kind)):
        assert run.depends_on(release.key, policy), "the object goes first, and where it may not go the guard stays"


def test_the_rollout_says_what_the_settings_say(program: Program) -> None:
    v1, v2 = (load_release(ROOT / "releases" / f"{name}.yaml") for name in ("v1", "v2"))
    ladder = [{"weight": 10, "bakeSeconds": 60}, {"weight": 100, "approval": True}]
    spec = program(guard=True, weight=10, ladder=ladder)["CanaryRelease/chat"].inputs["spec"]
    assert spec == {
        "service": "chat",
        "host": "chat.example.com",
        "stable": v1.id,
        "canary": v2.id,
        "weight": 10,
        "ladder": [
            {"weight": 10, "bakeSeconds": 60, "approval": False},
            {"weight": 100, "bakeSeconds": 0, "approval": True},
        ],
        "objectives": {"errors": {"tolerance": 1.5, "floor": 0.01, "limit": 0.05}},
    }
    assert program(guard=True, canary="", weight=0)["CanaryRelease/chat"].inputs["spec"]["canary"] == ""


def test_a_guarded_step_changes_the_ingress_and_the_declared_weight(program: Program) -> None:
    before, after = program(guard=True, weight=5), program(guard=True, weight=20)
    assert changed(before, after) == [
        "CanaryRelease/chat.spec.weight",
        f"Ingress/chat-canary.metadata.annotations.{WEIGHT}",
    ]


def test_the_guards_of_two_stacks_have_no_object_in_common(program: Program) -> None:
    one, other = (program(guard=True, namespace=name, host=f"{name}.example.com") for name in ("one", "other"))
    for kind in GUARD:
        assert not {policy.name for policy in one.kinds(kind)} & {policy.name for policy in other.kinds(kind)}


def test_the_weights_of_the_ladder_stand_on_the_canary_ingress_for_the_policy_pack(program: Program) -> None:
    run = program(ladder=[{"weight": 10}, {"weight": 100}], weight=10)
    assert run["Ingress/chat-canary"].inputs["metadata"]["annotations"]["serinus.dev/ladder"] == "[10, 100]"
    assert "serinus.dev/ladder" not in run["Ingress/chat-stable"].inputs["metadata"]["annotations"]
