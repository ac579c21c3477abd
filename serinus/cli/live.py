"""Reads what the cluster serves now, by the user's own kubectl: with their rights, and as they could by hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.errors import LocalError
from serinus.cli.engine_events import labelled, route
from serinus.cli.kubectl import Reach, kubectl
from serinus.rollout.canary_release import CRD_NAME
from serinus.rollout.plan import Live

# How kubectl says that the cluster does not know a kind at all.
_NO_SUCH_KIND = "doesn't have a resource type"


def read_live(config: Mapping[str, str], folder: Path, environ: Mapping[str, str]) -> Live | str:
    """Read the service's Ingresses and its CanaryRelease; a sentence says why they can't be read.

    `config` holds the stack's settings, `folder` is the project's, `environ` the environment of kubectl.
    """
    service, namespace = config.get("service", ""), config.get("namespace", "")
    if not service or not namespace:
        return "the settings name no service and namespace"
    at = Reach.by_settings(config, folder, environ)
    try:
        listed = _get(at, "the cluster can't be read", "ingresses", "--show-managed-fields")
        ingresses = [one for one in listed["items"] if labelled(one, service)]
        routes = {one["metadata"]["name"]: route(one) for one in ingresses}
    except LocalError as error:
        return str(error)
    try:
        found = _get(at, "the CanaryRelease can't be read", CRD_NAME, service, "--ignore-not-found")
    except LocalError as error:
        if _NO_SUCH_KIND in str(error):
            return Live(routes=routes, release=None, no_release="the cluster knows no CanaryReleases")
        return str(error)
    missing = "" if found else f"there is no CanaryRelease {service} in the namespace {namespace}"
    return Live(routes=routes, release=found or None, no_release=missing)


def _get(at: Reach, what: str, *words: str) -> dict[str, Any]:
    text = kubectl(at, "get", *words, "--output=json", what=what)
    try:
        answer: dict[str, Any] = json.loads(text or "{}")
    except ValueError:
        raise LocalError(f"{what}: kubectl printed no JSON") from None
    return answer
