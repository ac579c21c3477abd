"""A cut: the canary's traffic goes to zero at once, and whoever declares a rise meets a conflict.

A cut is a server-side apply, under a field manager of its own, of exactly what the stack renders for weight 0. So the
API server itself refuses a later apply of anything else, and the stack's own 0 is no conflict. A person's cut and the
agent's are the same, and so is the way back: the manager's entry goes, the values stay, and whoever declared them owns
them again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from serinus.rollout import share

MANAGER = "serinus-agent"
"""The field manager of every cut, by whomever."""


def cut_of(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that take all traffic from the canary on an Ingress that has these.

    The weight alone would leave those on the canary whom a header's pattern takes.
    """
    return share.cut(annotations)


def is_cut(annotations: Mapping[str, str]) -> bool:
    """Tell whether a cut would change nothing."""
    return all(annotations.get(key) == value for key, value in cut_of(annotations).items())


def ingress_cut(name: str, annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the document to apply, by force and as `MANAGER`, to the canary's Ingress of that name."""
    return ingress_of(name, cut_of(annotations))


def ingress_of(name: str, annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the document that gives the Ingress of that name these annotations, and leaves all else alone."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": dict(annotations)},
    }


def holds(managed_fields: Sequence[Mapping[str, Any]], annotations: Mapping[str, str]) -> bool:
    """Tell whether the cut of an Ingress with these annotations stands and is owned by `MANAGER`.

    `managed_fields` are the Ingress' own, as the API server returns them.
    """
    return is_cut(annotations) and cut_of(annotations).keys() <= _annotations_of(managed_fields)


def owned(managed_fields: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the weight of an Ingress is `MANAGER`'s: it was cut, or lowered, and not given back."""
    return share.WEIGHT in _annotations_of(managed_fields)


def give_back(managed_fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the JSON patch that ends `MANAGER`'s ownership and keeps all values; an empty one where it has none.

    An apply without the fields would delete those that nobody else owns. The patch fails where the entries have moved
    since they were read: then read again.
    """
    entry = _entry(managed_fields)
    if entry is None:
        return []
    path = f"/metadata/managedFields/{entry}"
    return [{"op": "test", "path": f"{path}/manager", "value": MANAGER}, {"op": "remove", "path": path}]


def _annotations_of(managed_fields: Sequence[Mapping[str, Any]]) -> set[str]:
    entry = _entry(managed_fields)
    fields = managed_fields[entry].get("fieldsV1", {}) if entry is not None else {}
    return {key.removeprefix("f:") for key in fields.get("f:metadata", {}).get("f:annotations", {})}


def _entry(managed_fields: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the place of the manager's apply among the entries."""
    found = (
        place
        for place, entry in enumerate(managed_fields)
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")
    )
    return next(found, None)
