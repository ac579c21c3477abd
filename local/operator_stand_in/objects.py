"""What a declared object means in the files of Prometheus and Alertmanager."""

import base64
import json
import re
from typing import Any

from .api import Api, UnusableError

_IN_CLUSTER = re.compile(r"^(?P<scheme>https?)://(?P<name>[-a-z0-9]+)\.(?P<namespace>[-a-z0-9]+)\.svc(?P<rest>[:/].*)$")
_TIMES = {"groupWait": "group_wait", "groupInterval": "group_interval", "repeatInterval": "repeat_interval"}


def groups_of(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups of a PrometheusRule, under names that no other object has."""
    place = f"{rule['metadata']['namespace']}/{rule['metadata']['name']}"
    return [{**group, "name": f"{place}/{group['name']}"} for group in rule["spec"].get("groups", [])]


def targets_of(monitor: dict[str, Any], pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where a PodMonitor's pods tell their metrics, as far as they have an address by now."""
    place = monitor["metadata"]["namespace"]
    ports = {one["port"] for one in monitor["spec"]["podMetricsEndpoints"]}
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{port['containerPort']}"],
            "labels": {
                "job": f"{place}/{monitor['metadata']['name']}",
                "namespace": place,
                "pod": pod["metadata"]["name"],
                "container": container["name"],
            },
        }
        for pod in pods
        # A pod that has ended keeps its address until it is forgotten.
        if pod["status"].get("podIP") and pod["status"].get("phase") not in ("Succeeded", "Failed")
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
        if port.get("name") in ports
    ]


def route_of(config: dict[str, Any]) -> dict[str, Any]:
    """The route of an AlertmanagerConfig: only for alerts of its namespace, and never the last to hear of them."""
    place, given = config["metadata"]["namespace"], config["spec"]["route"]
    matchers = [
        f"{one['name']}{one.get('matchType', '=')}{json.dumps(one.get('value', ''))}"
        for one in given.get("matchers", [])
    ]
    return {
        "receiver": f"{place}/{config['metadata']['name']}/{given['receiver']}",
        "matchers": [*matchers, f'namespace="{place}"'],
        "group_by": given.get("groupBy", []),
        **{theirs: given[ours] for ours, theirs in _TIMES.items() if ours in given},
        "continue": True,
    }


def receivers_of(config: dict[str, Any], api: Api) -> list[dict[str, Any]]:
    """The receivers of an AlertmanagerConfig, webhooks only, with their tokens."""
    place = config["metadata"]["namespace"]
    return [
        {
            "name": f"{place}/{config['metadata']['name']}/{receiver['name']}",
            "webhook_configs": [_webhook(place, hook, api) for hook in receiver.get("webhookConfigs", [])],
        }
        for receiver in config["spec"]["receivers"]
    ]


def _webhook(namespace: str, hook: dict[str, Any], api: Api) -> dict[str, Any]:
    said: dict[str, Any] = {
        "url": _reachable(hook["url"], api),
        "send_resolved": hook.get("sendResolved", True),
        "max_alerts": hook.get("maxAlerts", 0),
    }
    if authorization := hook.get("httpConfig", {}).get("authorization"):
        wanted = authorization["credentials"]
        data = api.of(namespace, "secrets", wanted["name"]).get("data", {})
        if wanted["key"] not in data:
            raise UnusableError(f"secrets {namespace}/{wanted['name']}: there is no key {wanted['key']}")
        token = base64.b64decode(data[wanted["key"]]).decode()
        said["http_config"] = {"authorization": {"type": authorization.get("type", "Bearer"), "credentials": token}}
    return said


def _reachable(url: str, api: Api) -> str:
    """The URL with a Service's address for its name: the local cluster has no DNS."""
    found = _IN_CLUSTER.match(url)
    if found is None:
        return url
    address = api.of(found["namespace"], "services", found["name"])["spec"].get("clusterIP", "")
    if address in ("", "None"):
        raise UnusableError(f"services {found['namespace']}/{found['name']}: it has no address of its own")
    return f"{found['scheme']}://{address}{found['rest']}"
