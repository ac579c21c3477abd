"""What an update does to the canary's share, and what the rule table says of it: one answer that five rules share.

The rows and their order are those of the guard in the cluster, so a preview says what the API server would say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pulumi_policy import ResourceValidationArgs
from pydantic import ValidationError

from policies.before import Before, Sources, annotations, backends, before, kind_of
from policies.checkpoint import CheckpointError
from policies.cluster import SERVICE_LABEL
from serinus.rollout.canary_release import Spec
from serinus.rollout.complaints import complaints
from serinus.rollout.hold import Override, waive
from serinus.rollout.rules import policy_of
from serinus.rollout.share import CANARY, OFF, share
from serinus.rollout.status import read_status
from serinus.rollout.step import check_step
from serinus.rollout.succession import backend_of
from serinus.rollout.violation import Violation

_UNREAD = "Bring the cluster within reach of whoever runs the update, with the right to read; or lower the weight."


@dataclass(frozen=True, slots=True)
class Step:
    """One canary Ingress, from its share `old` to `new`, both in percent. `old` is None for one that never was."""

    service: str
    old: int | None
    new: int
    behind: tuple[str, ...]
    there: Before

    @property
    def rises(self) -> bool:
        return self.new > (self.old or 0)

    @property
    def spec(self) -> Spec | None:
        """What the live CanaryRelease declares; None where there is none that can be read."""
        try:
            return Spec.model_validate(self.there.release["spec"]) if self.there.release else None
        except (ValidationError, KeyError):
            return None


def step_of(args: ResourceValidationArgs, sources: Sources) -> Step | None:
    """Read the step that this resource is; None for what gives no user to a canary.

    Raises CheckpointError where the old share can't be read from anywhere.
    """
    if kind_of(args) != "Ingress":
        return None
    written = annotations(args.props)
    new = share(written)
    if written.get(CANARY, "").lower() in OFF or new == 0:
        return None
    there, behind = before(args, sources), backends(args.props)
    # Another release behind the same Ingress starts at the bottom: what was earned was earned by the one before. And
    # where an update was killed, the lower share is the one that is surely reached.
    shares = [share(annotations(one), uncounted=0) if backends(one) == behind else 0 for one in there.own]
    labels = (args.props.get("metadata") or {}).get("labels") or {}
    return Step(str(labels.get(SERVICE_LABEL, "")), min(shares, default=None), new, behind, there)


def said(args: ResourceValidationArgs, sources: Sources, policy: str) -> list[str]:
    """Return what one rule of the pack says to a resource, in one sentence or none."""
    try:
        step = step_of(args, sources)
    except CheckpointError as error:
        # The ladder's rule says this for all of them.
        return [unknown(share(annotations(args.props)), str(error))] if policy == "weight-ladder" else []
    if step is None or not step.rises:
        return []
    found = check(step, sources.now())
    return sentences([one for one in found if policy_of(one.code) == policy], step.there.release, sources.now())


def check(step: Step, now: datetime) -> list[Violation]:
    """Ask the rule table of a rise; without a CanaryRelease nobody judges, and only the ladder's own rule speaks."""
    if step.there.unread:
        why = f"the cluster can't be asked whether the canary is well ({step.there.unread})"
        return [Violation("cluster-unread", why, _UNREAD)]
    if step.there.release is None:
        return []
    try:
        spec = Spec.model_validate(step.there.release.get("spec"))
    except ValidationError as error:
        why = f"the CanaryRelease is malformed: {'; '.join(complaints(Spec, error))}"
        return [Violation("release-malformed", why, "Bring it in order with `pulumi up` at weight 0.")]
    generation = (step.there.release.get("metadata") or {}).get("generation", 0)
    declared = spec.declared(generation)
    found = check_step(declared, read_status(step.there.release.get("status")), step.old, step.new, now)
    canary = backend_of(spec.service, spec.canary)
    if not canary or set(step.behind) != {canary}:
        routed = ", ".join(step.behind)
        why = f"the Ingress routes to {routed}, but the declared canary is {spec.canary or 'none'}"
        found.append(Violation("other-backend", why, "Declare the canary with weight 0 first, then raise it."))
    return found


def sentences(found: list[Violation], release: Mapping[str, Any] | None, now: datetime) -> list[str]:
    """Join violations to one sentence, without those that the live override puts aside."""
    left = waive(found, override_of(release), now).remaining
    return [" ".join([f"{one.sentence} ({one.code})." for one in left] + [left[0].remedy])] if left else []


def override_of(release: Mapping[str, Any] | None) -> Override | None:
    """Return the override that the live object carries; one that can't be read is none."""
    try:
        return Override.model_validate(release["spec"]["override"]) if release else None
    except (ValidationError, KeyError, TypeError):
        return None


def unknown(new: int, why: str) -> str:
    """Say that the old weight can't be known."""
    return f"the old weight is not known, so {new} may be a jump ({why}). Until it can be read, only 0 is allowed."
