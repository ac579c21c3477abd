"""No jump: the canary's weight rises one rung of the ladder at a time, and may fall as far as anyone likes."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity
from pydantic import ValidationError

from policies.checkpoint import CheckpointError, states
from policies.rule import rule
from serinus.rollout.canary_release import LADDER_NOTE
from serinus.rollout.ladder import Ladder, check_jump
from serinus.rollout.share import CANARY, OFF, WEIGHT, WEIGHT_TOTAL

# For an Ingress that says nothing of a ladder.
LADDER = (5, 20, 50, 100)

# A patch of an Ingress sets annotations just as well.
_INGRESS = re.compile(r"kubernetes:[^:]+:Ingress(Patch)?")

States = Callable[[str], list[Mapping[str, Any]]]


def build(read_states: States = states) -> ResourceValidationPolicy:
    """Build the rule; `read_states` gives what the checkpoint holds for a URN."""

    def refusals(args: ResourceValidationArgs) -> list[str]:
        refusal = _refusal(args, read_states) if _INGRESS.fullmatch(args.resource_type) else ""
        return [refusal] if refusal else []

    return rule(
        "weight-ladder",
        "The canary's weight rises one rung of the ladder at a time. A decrease is always allowed.",
        refusals,
        severity=Severity.CRITICAL,
        remedy="Set serinus:weight to the next rung of the ladder, or to anything up to the old weight.",
        config={
            "ladder": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": 100},
                "minItems": 1,
            }
        },
    )


def _refusal(args: ResourceValidationArgs, read_states: States) -> str:
    """Return why this Ingress is refused, or an empty text."""
    annotations = _annotations(args.props)
    total = annotations.get(WEIGHT_TOTAL)
    if total not in (None, "100"):
        return f"{WEIGHT_TOTAL} is {total!r}, but a weight is a percentage. Remove the annotation."
    try:
        new = _weight(annotations)
    except ValueError as error:
        return f"{error}. Set a weight from 0 to 100."
    if new == 0:
        return ""
    configured = args.get_config().get("ladder")
    try:
        ladder = _ladder(configured) if configured is not None else _declared_ladder(annotations)
    except ValueError as error:
        place = "the rule's configuration" if configured is not None else f"the annotation {LADDER_NOTE}"
        return f"{place} has a ladder that can't be used: {error}"
    try:
        old = _seen_weight(read_states(args.urn), _backends(args.props))
    except (CheckpointError, ValueError) as error:
        return (
            f"the old weight is not known, so {new} may be a jump ({error}). Until it can be read, only 0 is allowed."
        )
    violations = check_jump(ladder, old, new)
    return " ".join([f"{one.sentence} ({one.code})." for one in violations] + [one.remedy for one in violations[:1]])


def _seen_weight(held: list[Mapping[str, Any]], backends: set[object]) -> int | None:
    """The weight that the release behind `backends` has before this update, None for an Ingress that never was.

    A state's inputs are what the last update wanted, even if the cluster refused it. Its outputs are what the cluster
    answered. Where an update was killed there are two states, and the lower weight is the one that is surely reached.
    """
    answers = [state.get("outputs") or {} for state in held]
    # Another release behind the same Ingress starts at the bottom: what was earned was earned by the one before.
    return min((_weight(_annotations(one)) if _backends(one) == backends else 0 for one in answers), default=None)


def _backends(ingress: Mapping[str, Any]) -> set[object]:
    rules = (ingress.get("spec") or {}).get("rules") or []
    paths = [path for rule in rules for path in (rule.get("http") or {}).get("paths") or []]
    return {((path.get("backend") or {}).get("service") or {}).get("name") for path in paths}


def _annotations(ingress: Mapping[str, Any]) -> Mapping[str, Any]:
    return (ingress.get("metadata") or {}).get("annotations") or {}


def _weight(annotations: Mapping[str, Any]) -> int:
    """The percentage of traffic that these annotations send to the canary. Raises ValueError for any other weight."""
    if str(annotations.get(CANARY, "")).lower() in OFF:
        return 0
    written = annotations.get(WEIGHT, "0")
    if not isinstance(written, str) or not re.fullmatch(r"[0-9]{1,3}", written) or int(written) > 100:
        raise ValueError(f"{WEIGHT} is {written!r}, not an integer from 0 to 100 in quotes")
    return int(written)


def _declared_ladder(annotations: Mapping[str, Any]) -> Ladder:
    """The ladder of the stack's settings, which the program notes on the Ingress."""
    noted = annotations.get(LADDER_NOTE)
    weights = LADDER if noted is None else json.loads(str(noted))
    if not isinstance(weights, list | tuple) or not all(type(weight) is int for weight in weights):
        raise ValueError(f"{noted!r} is no list of integers")
    return _ladder(weights)


def _ladder(weights: Iterable[float]) -> Ladder:
    # Numbers come as floats. One that is no integer stays as it is and is refused by the ladder itself.
    try:
        return Ladder.of(cast(int, weight if weight % 1 else int(weight)) for weight in weights)
    except ValidationError as error:
        raise ValueError("; ".join(one["msg"] for one in error.errors())) from None
