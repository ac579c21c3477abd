"""A model service asks for its GPU: without the request it is put on any node and loads the model into its memory."""

from collections.abc import Iterator

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity

from policies.rule import rule
from policies.workloads import model_containers

_RESOURCE = "nvidia.com/gpu"


def _refusals(args: ResourceValidationArgs) -> Iterator[str]:
    resource = str(args.get_config().get("resource", _RESOURCE))
    for container, _ in model_containers(args):
        asked = ((container.get("resources") or {}).get("limits") or {}).get(resource, 0)
        # A number comes as a float, a quantity in quotes as text.
        number = f"{asked:g}" if isinstance(asked, float) else str(asked)
        # Kubernetes gives out whole devices only.
        if not (number.isascii() and number.isdecimal() and int(number) > 0):
            yield f"the container {container.get('name')!r} has {number} of {resource} in its limits, not 1 or more."


RULE: ResourceValidationPolicy = rule(
    "gpu-requested",
    "A model service asks for the GPUs that it needs.",
    _refusals,
    severity=Severity.MEDIUM,
    forgives=True,
    remedy="Set serinus:gpu to the number of GPUs of one pod.",
    config={"resource": {"type": "string", "minLength": 1, "default": _RESOURCE}},
)
