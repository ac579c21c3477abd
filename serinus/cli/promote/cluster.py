"""The cluster as a promoter needs it: where the rollout stands. By the user's own kubectl, with the user's rights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from local.errors import LocalError
from serinus.cli.engine_events import route
from serinus.cli.kubectl import Reach, kubectl
from serinus.rollout import share
from serinus.rollout.canary_release import CRD_NAME, Rungs, Spec
from serinus.rollout.capacity import Capacity, check_pods
from serinus.rollout.complaints import complaints
from serinus.rollout.ladder import Ladder
from serinus.rollout.manifest import ManifestError, load_release
from serinus.rollout.profile import named
from serinus.rollout.promotion import Situation
from serinus.rollout.status import read_status
from serinus.rollout.succession import Stable
from serinus.rollout.violation import Violation

_RUNGS: TypeAdapter[Rungs] = TypeAdapter(Rungs)


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: where the rollout stands, the live spec, and the stable Ingress with the moment of its last swap."""

    situation: Situation
    spec: Spec
    stable: Stable
    swapped_at: datetime | None


class Cluster:
    """One service's namespace."""

    def __init__(self, settings: Mapping[str, Any], folder: Path, environ: Mapping[str, str]) -> None:
        """`settings` are the stack's, `environ` is the environment of kubectl. Raises LocalError without a service."""
        self.service, self.namespace = str(settings.get("service", "")), str(settings.get("namespace", ""))
        if not self.service or not self.namespace:
            raise LocalError("the settings name no service and namespace", remedy="pulumi config set serinus:service …")
        self._folder = folder
        self._reach = Reach.by_settings(settings, folder, environ)

    def look(self, settings: Mapping[str, Any]) -> Seen:
        """Read where the rollout stands. Raises LocalError where it can't be read, or where there is none."""
        canary, stable = f"{self.service}-canary", f"{self.service}-stable"
        pods = f"deployments.apps/{self.service}-{settings.get('canary') or 'none'}"
        wanted = (f"{CRD_NAME}/{self.service}", f"ingresses/{canary}", f"ingresses/{stable}", pods)
        told = self.kubectl("get", *wanted, "--ignore-not-found", "--show-managed-fields", "--output=json")
        found = json.loads(told or '{"items": []}')
        objects = {(one["kind"], one["metadata"]["name"]): one for one in found.get("items", [found])}
        release = objects.get(("CanaryRelease", self.service))
        if release is None:
            raise LocalError(
                f"there is no CanaryRelease {self.service} in the namespace {self.namespace}; nobody judges the canary",
                remedy="Set serinus:guard to true and serinus:weight to 0, then run `pulumi up`.",
            )
        try:
            spec = Spec.model_validate(release.get("spec"))
        except ValidationError as error:
            raise LocalError(f"the CanaryRelease can't be read: {'; '.join(complaints(Spec, error))}") from None
        behind = route(objects.get(("Ingress", canary), {}))
        swapped = objects.get(("Ingress", stable), {})
        front = route(swapped)
        in_front = Stable.of(front.backends, front.annotations)
        served = share.share(behind.annotations, uncounted=0)
        deployment = objects.get(("Deployment", f"{self.service}-{settings.get('canary')}"))
        situation = Situation(
            committed=_weight(settings),
            applied=spec.weight,
            served=served,
            changed=self._changed(settings, spec, in_front),
            declared=spec.declared(int(release["metadata"].get("generation", 0))),
            status=read_status(release.get("status")),
            override=spec.override,
            lacking=_lacking(settings, spec.declared(0).ladder, served, deployment),
        )
        return Seen(situation, spec, in_front, _last_applied(swapped))

    def kubectl(self, *words: str, document: Mapping[str, Any] | None = None) -> str:
        """Run one command and return what it prints. Raises LocalError with kubectl's own words."""
        return kubectl(self._reach, *words, what=f"the cluster refuses `kubectl {words[0]}`", document=document)

    def _changed(self, settings: Mapping[str, Any], spec: Spec, stable: Stable) -> bool:
        """Tell whether the file declares other releases, or another ladder, than the cluster has."""
        names = {role: str(settings.get(role) or "") for role in ("stable", "canary", "previous")}
        try:
            ladder = _RUNGS.validate_python(named(settings.get("ladder")))
        except ValidationError as error:
            raise LocalError(f"the setting ladder can't be read: {error.errors()[0]['msg']}") from None
        # The way back is noted on the Ingress only; to where the users are there is none.
        previous = f"{self.service}-{names['previous']}" if names["previous"] not in ("", names["stable"]) else ""
        wanted = (self._release(names["stable"]), self._release(names["canary"]), ladder, previous)
        return wanted != (spec.stable, spec.canary, spec.ladder, stable.previous)

    def _release(self, name: str) -> str:
        try:
            return load_release(self._folder / "releases" / f"{name}.yaml").id if name else ""
        except ManifestError as error:
            raise LocalError(str(error)) from None


def _lacking(
    settings: Mapping[str, Any], ladder: Ladder, served: int, deployment: Mapping[str, Any] | None
) -> tuple[Violation, ...]:
    """Say which pods are missing for the next rung. A release that does not run yet is born with them."""
    rung = ladder.next_rung(served)
    if not settings.get("capacity") or rung is None or deployment is None:
        return ()
    try:
        capacity = Capacity.model_validate(settings["capacity"])
    except ValidationError as error:
        raise LocalError(f"serinus:capacity can't be read: {'; '.join(complaints(Capacity, error))}") from None
    ready = int((deployment.get("status") or {}).get("readyReplicas") or 0)
    return tuple(check_pods(capacity, rung.weight, ready))


def _weight(settings: Mapping[str, Any]) -> int:
    text = str(settings.get("weight", 0))
    if not text.isascii() or not text.isdigit() or int(text) > share.EVERYTHING:
        raise LocalError(f"serinus:weight is {text}, not an integer from 0 to 100", remedy="Set it to what is served.")
    return int(text)


def _last_applied(ingress: Mapping[str, Any]) -> datetime | None:
    """When the stack last changed what is behind an Ingress, as the API server has noted it."""
    times = [
        datetime.fromisoformat(str(entry["time"]))
        for entry in ingress.get("metadata", {}).get("managedFields") or []
        if "f:spec" in (entry.get("fieldsV1") or {}) and "time" in entry
    ]
    return max(times, default=None)
