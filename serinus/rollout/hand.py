"""What a person's hand changes in the status of a CanaryRelease: a hold, its end, an approval.

The agent carries these on and never makes them up. Everything else in the status is its own, and stays as it was; only
the weight that is allowed is told at once, so that nobody passes in the second before the agent looks again.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from serinus.rollout.canary_release import Spec
from serinus.rollout.hold import Approval, Hold
from serinus.rollout.memory import LOST
from serinus.rollout.status import Observation, Status, read_status
from serinus.rollout.step import allowed_weight, conclude
from serinus.rollout.violation import Violation


class HandError(ValueError):
    """What the person asks for can't be had; `remedy` is what to do instead."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


def held(spec: Spec, generation: int, before: object, hold: Hold) -> dict[str, Any]:
    """Return the status after a person's cut: nothing is served, nothing may rise.

    A hold that is there already stays: it says what happened first. A status that can't be read is replaced.
    """
    status = read_status(before)
    if isinstance(status, Violation) or not isinstance(before, Mapping):
        seen = Observation(
            service=spec.service,
            canary=spec.canary,
            weight=0,
            hold=hold,
            observed_at=hold.since,
            observed_generation=generation,
        )
        return conclude(seen, allowed_weight(spec.declared(generation), seen, hold.since)).document()
    # An agent that was quicker than the person's second write does not know why.
    kept = hold if status.hold is None or status.hold.reason == LOST else status.hold
    # The step is over, and so is its bake.
    over = {key: value for key, value in before.items() if key not in ("stepStartedAt", "bakedSeconds")}
    reasons = [f"the release is held: {kept.reason}"]
    return {**over, "weight": 0, "hold": kept.document(), "allowedWeight": 0, "reasons": reasons}


def resumed(spec: Spec, generation: int, before: object, now: datetime) -> dict[str, Any]:
    """Return the status without its hold. Raises HandError where there is none."""
    status, raw = _readable(before)
    if status.hold is None:
        raise HandError(f"{spec.service} is not held", f"serinus status {spec.service}")
    free = {key: value for key, value in raw.items() if key != "hold"}
    return _concluded(spec, generation, free, now)


def approved(spec: Spec, generation: int, before: object, approval: Approval) -> dict[str, Any]:
    """Return the status with the approval. Raises HandError for a weight that needs none or is no rung."""
    _, raw = _readable(before)
    asking = [rung.weight for rung in spec.ladder if rung.approval]
    if approval.weight not in asking:
        told = ", ".join(f"{weight} %" for weight in asking) or "none"
        raise HandError(
            f"the rise to {approval.weight} % needs no approval",
            f"Name a rung with approval: true. In the ladder of {spec.service}: {told}.",
        )
    others = [one for one in raw.get("approvals", []) if one.get("weight") != approval.weight]
    return _concluded(spec, generation, {**raw, "approvals": [*others, approval.document()]}, approval.at)


def _readable(before: object) -> tuple[Status, Mapping[str, Any]]:
    status = read_status(before)
    if isinstance(status, Violation):
        raise HandError(status.sentence, status.remedy)
    if not isinstance(before, Mapping):
        raise TypeError("a status that can be read is a mapping")
    return status, before


def _concluded(spec: Spec, generation: int, raw: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Tell what is allowed now, and leave all else: a newer agent may have written what we don't know."""
    seen = Status.model_validate(raw)
    after = conclude(seen, allowed_weight(spec.declared(generation), seen, now, spec.override))
    return {**raw, "allowedWeight": after.allowed_weight, "reasons": list(after.reasons)}
