"""What the cluster serves of a service before this update, asked with the credentials of the stack's own provider.

The engine's checkpoint knows what the last update left. Only the cluster knows that the agent has cut the canary since,
and what it says of it.
"""

import http.client
import json
import os
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import ResourceValidationArgs

from policies.kubeconfig import Access, KubeconfigError, access
from serinus.rollout.canary_release import API_VERSION, PLURAL

SERVICE_LABEL = "serinus.dev/service"
# A preview must not hang on a cluster that does not answer.
_SECONDS = 2.5
_MOST_BYTES = 16 << 20
# One resource is judged by several rules, which share an answer; the next resource is judged by a new one.
_FRESH_SECONDS = 2.0
# A cluster that was away is not asked again for every resource.
_AWAY_SECONDS = 60.0

Documents = Mapping[str, Mapping[str, Any]]


class ClusterError(Exception):
    """The cluster could not be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Live:
    """The service's Ingresses and Deployments by name, and its CanaryRelease, None where there is none."""

    ingresses: Documents
    deployments: Documents
    release: Mapping[str, Any] | None


@dataclass(slots=True)
class _Answer:
    """The last answer, to whom it was given and when."""

    asked: tuple[str, ...] = ()
    found: "Live | ClusterError | None" = None
    until: float = 0.0


_last = _Answer()


def read(args: ResourceValidationArgs) -> Live | None:
    """Read what belongs to the service of this resource.

    None for a resource that belongs to no service or to no cluster. Raises ClusterError.
    """
    metadata = args.props.get("metadata") or {}
    service = (metadata.get("labels") or {}).get(SERVICE_LABEL, "")
    if args.provider is None or not service:
        return None
    place = (
        str(args.provider.props.get("kubeconfig") or ""),
        str(args.provider.props.get("context") or ""),
        str(metadata.get("namespace") or "default"),
        str(service),
    )
    now = time.monotonic()
    away = isinstance(_last.found, ClusterError) and _last.asked[:2] == place[:2]
    if now >= _last.until or not (away or _last.asked == (*place, args.urn)):
        try:
            found: Live | ClusterError = _read(*place)
        except (KubeconfigError, ClusterError) as error:
            found = ClusterError(str(error))
        _last.asked, _last.found = (*place, args.urn), found
        _last.until = time.monotonic() + (_AWAY_SECONDS if isinstance(found, ClusterError) else _FRESH_SECONDS)
    if isinstance(_last.found, ClusterError):
        raise _last.found
    return _last.found


def _read(kubeconfig: str, context: str, namespace: str, service: str) -> Live:
    entry = access(kubeconfig, context, os.environ)
    server = urllib.parse.urlsplit(entry.server)
    connection = (
        http.client.HTTPSConnection(server.netloc, timeout=_SECONDS, context=entry.trust)
        if entry.trust
        else http.client.HTTPConnection(server.netloc, timeout=_SECONDS)
    )
    inside = f"namespaces/{urllib.parse.quote(namespace, safe='')}"
    chosen = "?" + urllib.parse.urlencode({"labelSelector": f"{SERVICE_LABEL}={service}"})
    name = urllib.parse.quote(service, safe="")

    def get(path: str) -> Mapping[str, Any] | None:
        return _get(connection, server.path.rstrip("/") + path, entry)

    try:
        return Live(
            ingresses=_by_name(get(f"/apis/networking.k8s.io/v1/{inside}/ingresses{chosen}")),
            deployments=_by_name(get(f"/apis/apps/v1/{inside}/deployments{chosen}")),
            release=get(f"/apis/{API_VERSION}/{inside}/{PLURAL}/{name}"),
        )
    except (OSError, http.client.HTTPException) as error:
        raise ClusterError(f"{server.netloc} did not answer: {error or type(error).__name__}") from None
    finally:
        connection.close()


def _get(connection: http.client.HTTPConnection, path: str, entry: Access) -> Mapping[str, Any] | None:
    """Ask for one document; None where the server has none."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {entry.token}"} if entry.token else {})
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read(_MOST_BYTES)
    if answer.status == http.client.NOT_FOUND:
        return None
    what = path.partition("?")[0]
    if answer.status != http.client.OK:
        raise ClusterError(f"the API server answers {answer.status} to {what}")
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ClusterError(f"the API server's answer to {what} is no JSON object")
    return document


def _by_name(listed: Mapping[str, Any] | None) -> Documents:
    try:
        return {str(one["metadata"]["name"]): one for one in (listed or {}).get("items") or []}
    except (KeyError, TypeError, AttributeError):
        raise ClusterError("the API server's list is not understood") from None
