"""A guarded service on the API server alone: the policies that the program declares, and one pair of objects for them.

No pod runs. What the API server answers to a change of an Ingress depends on nothing else.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from local import engine, kubernetes
from local.places import KUBECONFIG
from policies.cluster import SERVICE_LABEL
from serinus.rollout.admission import Guarded
from serinus.rollout.canary_release import API_VERSION, KIND, crd
from serinus.rollout.succession import Stable
from tests.cluster.api import Answer, Api
from tests.parity_cases import SPEC, Parity, moved_override
from tests.policies.pack import Pack, fake_pulumi, running_pack
from tests.stack.mocked_engine import Run, run_program
from tests.swap_cases import Swap, noted

BREAK_GLASS = "serinus:break-glass"
_SECONDS = 30.0
_NO_STATUS_OF_THIS_SERVICE = {"status-malformed", "other-service"}


def declared(guarded: Guarded) -> Run:
    """What the program declares for this service, seen where the engine sees it."""
    return run_program(
        {
            "kubeconfig": str(KUBECONFIG),
            "context": "serinus-local",
            "namespace": guarded.namespace,
            "service": guarded.service,
            "host": guarded.host,
            "stable": "echo-v1",
            "canary": "echo-v2",
            "guard": True,
            "breakGlass": guarded.break_glass,
        }
    )


def apply(*documents: Mapping[str, Any]) -> None:
    """Apply documents as the admin does, by force."""
    kubernetes.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", input=yaml.safe_dump_all(_plain(list(documents)))
    )


@contextmanager
def pack_of_the_cluster(folder: Path) -> Iterator[Pack]:
    """Run the policy pack with a provider of the local cluster, and without an engine. `folder` is empty."""
    fake_pulumi(folder, {}, error="nobody asked for this")
    with running_pack(folder) as pack:
        pack.provider = {"kubeconfig": str(KUBECONFIG), "context": "serinus-local"}
        yield pack
    assert pack.exports() == 0


class Place:
    """The namespace of one guarded service with its CanaryRelease and its Ingresses."""

    def __init__(self, guarded: Guarded) -> None:
        self.guarded = guarded
        self.admin = Api()
        self.rescuer = Api("ada", guarded.break_glass)
        self.ingresses = f"/apis/networking.k8s.io/v1/namespaces/{guarded.namespace}/ingresses"
        self.releases = f"/apis/{API_VERSION}/namespaces/{guarded.namespace}/canaryreleases"
        self.ingress = f"{self.ingresses}/{guarded.canary_ingress}"
        self.release = f"{self.releases}/{guarded.service}"

    def release_document(self, **changes: object) -> dict[str, Any]:
        spec = {"service": self.guarded.service, "host": self.guarded.host, **SPEC, **changes}
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self.guarded.service}, "spec": spec}

    def ingress_document(
        self, annotations: Mapping[str, str], name: str = "", host: str = "", backend: str = "", namespace: str = ""
    ) -> dict[str, Any]:
        service = {"name": backend or f"{self.guarded.service}-v2", "port": {"name": "http"}}
        path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {
                "name": name or self.guarded.canary_ingress,
                "namespace": namespace or self.guarded.namespace,
                "labels": {SERVICE_LABEL: self.guarded.service},
                "annotations": dict(annotations),
            },
            "spec": {
                # No gateway has this class: nothing is routed.
                "ingressClassName": "none",
                "rules": [{"host": host or self.guarded.host, "http": {"paths": [path]}}],
            },
        }

    def set_annotations(self, annotations: Mapping[str, str]) -> None:
        """Write the canary Ingress as nobody else may: by breaking the glass."""
        now = self.admin.get(self.ingress)
        if now.code == 404:
            born = self.rescuer.post(self.ingresses, self.ingress_document(annotations))
            assert born.ok, born.message
            return
        changed = self.rescuer.patch(
            self.ingress, {"metadata": {"annotations": difference(_annotations(now), annotations)}}
        )
        assert changed.ok, changed.message

    def passing_status(self, **changes: object) -> None:
        """Write the status of a canary that may rise from 5 to 20, changed by keyword."""
        generation = int(self.admin.get(self.release).document["metadata"]["generation"])
        case = Parity("passing", [], status=dict(changes))
        written = self.set_status(case.document(datetime.now(UTC), generation))
        assert written.ok, written.message

    def set_override(self, override: Mapping[str, str] | None) -> int:
        """Write the override into the spec; return the object's generation."""
        answer = self.admin.patch(self.release, {"spec": {"override": override}})
        assert answer.ok, answer.message
        return int(answer.document["metadata"]["generation"])

    def reset_release(self) -> None:
        """Declare what the table of steps starts from."""
        now = self.admin.get(self.release).document
        answer = self.admin.put(self.release, self.release_document() | {"metadata": now["metadata"]})
        assert answer.ok, answer.message

    def set_status(self, document: Mapping[str, Any] | None) -> Answer:
        """Replace the whole status; None removes it."""
        now = self.admin.get(self.release)
        assert now.ok, now.message
        whole = {key: value for key, value in now.document.items() if key != "status"}
        wanted = whole | ({} if document is None else {"status": document})
        written = self.admin.put(f"{self.release}/status", wanted)
        if written.ok:
            # Answered from the API server's cache, and only once that holds what was written.
            version = written.document["metadata"]["resourceVersion"]
            assert self.admin.get(f"{self.release}?resourceVersion={version}").ok
        return written

    def try_annotations(self, annotations: Mapping[str, str], by: Api | None = None) -> Answer:
        """Ask for other annotations on the canary Ingress, without changing it."""
        before = _annotations(self.admin.get(self.ingress))
        change = {"metadata": {"annotations": difference(before, annotations)}}
        return (by or self.admin).patch(f"{self.ingress}?dryRun=All", change)

    def answer(self, case: Parity) -> str:
        """Return the code with which the API server refuses a case's change, empty where it allows it."""
        self.set_annotations(case.old)
        generation = self.set_override(moved_override(case, datetime.now(UTC)))
        written = self.set_status(case.document(datetime.now(UTC), generation))
        # What is no status of this service never comes to stand. So for the guard there is none.
        assert written.ok == (not _NO_STATUS_OF_THIS_SERVICE & set(case.codes)) or case.codes == [], written.message
        if not written.ok:
            assert written.code == 422, written.message
            assert self.set_status(None).ok
        # The policies read the object from the API server's cache, which may trail a write on a busy machine. A wrong
        # rule stays wrong; only what is late changes.
        deadline = time.monotonic() + 5
        while (said := refusal(self.try_annotations(case.new))) != expected(case) and time.monotonic() < deadline:
            time.sleep(0.01)
        return said

    def answer_to_a_swap(self, case: Swap) -> str:
        """Return the code with which the API server refuses a change of the stable Ingress, empty for a yes."""
        stable = f"{self.ingresses}/{self.guarded.stable_ingress}"
        here = self.admin.get(stable)
        born = here.code == 404
        before = self.stable_document(case.old)
        made = self.rescuer.post(self.ingresses, before) if born else self.rescuer.put(stable, before)
        assert made.ok, made.message
        wanted = self.release_document(**case.declared(datetime.now(UTC)))
        now = self.admin.get(self.release).document
        declared = self.admin.put(self.release, wanted | {"metadata": now["metadata"]})
        assert declared.ok, declared.message
        generation = int(declared.document["metadata"]["generation"])
        written = self.set_status(case.document(datetime.now(UTC), generation))
        assert written.ok, written.message
        after = self.stable_document(case.new)
        # As above: what is late comes right, what is wrong does not.
        deadline = time.monotonic() + 5
        while (said := refusal(self.admin.put(f"{stable}?dryRun=All", after))) != expected(case):
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        return said

    def stable_document(self, stable: Stable) -> dict[str, Any]:
        """A stable Ingress with one path for each Service."""
        made = self.ingress_document(noted(stable), name=self.guarded.stable_ingress, backend=stable.backends[0])
        paths = made["spec"]["rules"][0]["http"]["paths"]
        for number, backend in enumerate(stable.backends[1:]):
            service = {"name": backend, "port": {"name": "http"}}
            paths.append({"path": f"/{number}", "pathType": "Prefix", "backend": {"service": service}})
        return made


def expected(case: Parity | Swap) -> str:
    """Return the code that the API server should name: the first, since it names one."""
    code = case.codes[0] if case.codes else ""
    return "status-missing" if code in _NO_STATUS_OF_THIS_SERVICE else code


def refusal(answer: Answer) -> str:
    """Return the code of a refusal by the guard, empty where the answer is a yes."""
    if answer.ok:
        return ""
    assert answer.code == 422, answer.message
    assert "denied request: " in answer.message, answer.message
    return answer.message.rpartition(" (")[2].partition(")")[0]


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    """The merge patch from one set of annotations to another."""
    return {**{key: None for key in before if key not in after}, **after}


@contextmanager
def guarded_place(guarded: Guarded) -> Iterator[Place]:
    """Put the guard and its objects on the API server; take everything away at the end but the definition."""
    apply(crd())
    run = declared(guarded)
    policies = [
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, **one.inputs}
        for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
        for one in run.kinds(kind)
    ]
    place = Place(guarded)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": guarded.namespace}}
    rescue = permission(guarded.namespace, "rescue", {"kind": "Group", "name": guarded.break_glass}, "ingresses")
    try:
        apply(namespace)
        apply(*rescue, *policies)
        made = place.admin.post(place.releases, place.release_document())
        assert made.ok or made.code == 409, made.message
        _wait_for_the_guard(place)
        yield place
    finally:
        # The namespace first: the guard must let its objects go with it.
        kubernetes.kubectl("delete", "namespace", guarded.namespace, "--ignore-not-found", "--timeout=60s", timeout=70)
        for one in reversed(policies):
            kubernetes.kubectl("delete", one["kind"], one["metadata"]["name"], "--ignore-not-found")


def serinus(*words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does, to its end."""
    program = Path(sys.executable).parent / "serinus"
    environment = {**os.environ, **engine.environment()}
    return subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )


def permission(namespace: str, name: str, subject: Mapping[str, str], *resources: str) -> list[dict[str, Any]]:
    """The right to do anything to these resources of the namespace."""
    rbac = "rbac.authorization.k8s.io"
    head = {"apiVersion": f"{rbac}/v1", "metadata": {"name": name, "namespace": namespace}}
    rule = {"apiGroups": ["networking.k8s.io", "serinus.dev"], "resources": list(resources), "verbs": ["*"]}
    return [
        {**head, "kind": "Role", "rules": [rule]},
        {
            **head,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [dict(subject)],
        },
    ]


def _wait_for_the_guard(place: Place) -> None:
    """A policy counts a moment after it is written: wait until each of them does."""
    born = place.ingress_document({"nginx.ingress.kubernetes.io/canary": "true"}, name="another-canary")
    deadline = time.monotonic() + _SECONDS
    while place.admin.post(f"{place.ingresses}?dryRun=All", born).ok:
        assert time.monotonic() < deadline, "the guard did not come into force"
        time.sleep(0.02)


def _annotations(answer: Answer) -> dict[str, str]:
    found: dict[str, str] = answer.document["metadata"].get("annotations", {})
    return found


def _plain(value: Any) -> Any:
    """Whole numbers as integers: the engine's protocol has only floats."""
    text = json.dumps(value)
    return json.loads(
        text, parse_float=lambda number: int(float(number)) if float(number).is_integer() else float(number)
    )
