"""An image is named by its digest: a tag can be moved, and then the release answers otherwise under its old id."""

import re
from collections.abc import Iterator

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity

from policies.rule import rule
from policies.workloads import containers, pod

_PINNED = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


def _refusals(args: ResourceValidationArgs) -> Iterator[str]:
    exempt = tuple(args.get_config().get("exempt", ()))
    for container in containers(pod(args) or {}):
        image = container.get("image")
        if isinstance(image, str) and (_PINNED.fullmatch(image) or image.startswith(exempt)):
            continue
        yield f"the container {container.get('name')!r} has the image {image!r}, which is not pinned by a digest."


RULE: ResourceValidationPolicy = rule(
    "image-pinned-by-digest",
    "Images are named by digest, so that a release's id says what runs.",
    _refusals,
    severity=Severity.HIGH,
    forgives=True,
    remedy="Write the release's image as <name>@sha256:<64 hex digits>.",
    config={
        "exempt": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "default": [],
            "description": "Beginnings of image names that need no digest, such as localhost/.",
        }
    },
)
