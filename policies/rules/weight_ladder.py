"""No jump: the canary's weight rises one rung of the ladder at a time, and may fall as far as anyone likes."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import cast

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity
from pydantic import ValidationError

from policies.before import Sources, annotations, kind_of
from policies.checkpoint import CheckpointError
from policies.rule import rule
from policies.steps import Step, sentences, step_of, unknown
from serinus.rollout.canary_release import LADDER_NOTE
from serinus.rollout.ladder import Ladder, check_jump
from serinus.rollout.share import CANARY, OFF, WEIGHT, WEIGHT_TOTAL, share

# For an Ingress that says nothing of a ladder.
LADDER = (5, 20, 50, 100)


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""

    def refusals(args: ResourceValidationArgs) -> list[str]:
        return _refusals(args, sources) if kind_of(args) == "Ingress" else []

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


def _refusals(args: ResourceValidationArgs, sources: Sources) -> list[str]:
    """Say why this Ingress is refused, in one sentence or none."""
    written = annotations(args.props)
    if written.get(CANARY, "").lower() in OFF:
        return []
    total = written.get(WEIGHT_TOTAL)
    if total not in (None, "100"):
        return [f"{WEIGHT_TOTAL} is {total!r}, but a weight is a percentage. Remove the annotation."]
    weight = ((args.props.get("metadata") or {}).get("annotations") or {}).get(WEIGHT, "0")
    if not isinstance(weight, str) or not re.fullmatch(r"[0-9]{1,3}", weight, re.ASCII) or int(weight) > 100:
        return [f"{WEIGHT} is {weight!r}, not an integer from 0 to 100 in quotes. Set a weight from 0 to 100."]
    if share(written) == 0:
        return []
    configured = args.get_config().get("ladder")
    try:
        step = step_of(args, sources)
        ladder = _ladder(configured) if configured is not None else _ladder_of(step, written)
    except CheckpointError as error:
        return [unknown(share(written), str(error))]
    except ValueError as error:
        place = "the rule's configuration" if configured is not None else f"the annotation {LADDER_NOTE}"
        return [f"{place} has a ladder that can't be used: {error}"]
    if step is None or not step.rises:
        return []
    if step.there.unread:
        old = "nothing" if step.old is None else step.old
        return [
            f"what the cluster serves is not known ({step.there.unread}). The checkpoint says {old}; until the cluster "
            f"can be asked, the weight may stay there or fall, and not rise to {step.new}."
        ]
    return sentences(check_jump(ladder, step.old, step.new), step.there.release, sources.now())


def _ladder_of(step: Step | None, written: Mapping[str, str]) -> Ladder:
    """The ladder that the live CanaryRelease declares, as for the guard; else the one that the program notes."""
    spec = step.spec if step else None
    return spec.declared(0).ladder if spec else _declared_ladder(written)


def _declared_ladder(written: Mapping[str, str]) -> Ladder:
    """The ladder of the stack's settings, which the program notes on the Ingress."""
    noted = written.get(LADDER_NOTE)
    weights = LADDER if noted is None else json.loads(noted)
    if not isinstance(weights, list | tuple) or not all(type(weight) is int for weight in weights):
        raise ValueError(f"{noted!r} is no list of integers")
    return _ladder(weights)


def _ladder(weights: Iterable[float]) -> Ladder:
    # Numbers come as floats. One that is no integer stays as it is and is refused by the ladder itself.
    try:
        return Ladder.of(cast(int, weight if weight % 1 else int(weight)) for weight in weights)
    except ValidationError as error:
        raise ValueError("; ".join(one["msg"] for one in error.errors())) from None
