"""What the pods of a canary said and how they were, at the moment when it was cut: the part of the evidence that is
gone when the pods are.

It is worth having and never worth waiting for: what can't be read within its time is left out.
"""

import asyncio
from typing import Any
from urllib.parse import quote

from serinus.agent.api import Api, ApiError
from serinus.rollout.loglines import redacted

SECONDS = 5.0
_MOST_PODS = 5
_LINES = 20


async def pods(api: Api, namespace: str, service: str, release: str) -> list[dict[str, Any]]:
    """Return the states and the last log lines, redacted, of at most five pods; nothing where they can't be read."""
    selector = quote(f"serinus.dev/service={service},serinus.dev/release={release}")
    at = f"/api/v1/namespaces/{namespace}/pods"
    try:
        async with asyncio.timeout(SECONDS):
            listed = await api.get(f"{at}?limit={_MOST_PODS}&labelSelector={selector}")
            return [
                {**_state(one), "log": await _log(api, f"{at}/{one['metadata']['name']}/log?tailLines={_LINES}")}
                for one in listed["items"][:_MOST_PODS]
            ]
    except (ApiError, TimeoutError, KeyError, TypeError, AttributeError):
        return []


def _state(pod: dict[str, Any]) -> dict[str, Any]:
    status = pod.get("status", {})
    containers = status.get("containerStatuses", [])
    before = [one.get("lastState", {}).get("terminated", {}) for one in containers]
    return {
        "name": pod["metadata"]["name"],
        "phase": status.get("phase", ""),
        "ready": all(one.get("ready", False) for one in containers),
        "restarts": sum(one.get("restartCount", 0) for one in containers),
        "ended": [one.get("reason", "") for one in before if one],
    }


async def _log(api: Api, path: str) -> list[str]:
    try:
        return redacted((await api.text(path)).splitlines()[-_LINES:])
    except ApiError:
        return []
