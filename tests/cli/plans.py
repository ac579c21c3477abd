"""Builds what `serinus plan` reads: the engine's event log, the objects of a cluster, and the reports made of them.

The shapes are those that the engine (3.259) and kubectl wrote in a real run on the local cluster.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from serinus.cli.engine_events import read_preview, route
from serinus.rollout.assess import assess
from serinus.rollout.outlook import Expected
from serinus.rollout.plan import Live, Plan, Preview

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LADDER = [
    {"weight": 5, "bakeSeconds": 600},
    {"weight": 20, "bakeSeconds": 1800},
    {"weight": 50, "bakeSeconds": 3600},
    {"weight": 100, "approval": True},
]
CONFIG = {
    "serinus:service": "chat",
    "serinus:namespace": "serinus",
    "serinus:weight": "20",
    "serinus:ladder": json.dumps(LADDER),
    "other:token": "[secret]",
}
PREFIX = "nginx.ingress.kubernetes.io"
_STACK = "urn:pulumi:dev::serinus::pulumi:pulumi:Stack::serinus-dev"
_TYPE = "kubernetes:networking.k8s.io/v1:Ingress"
_PULUMI = "pulumi-kubernetes-ec9d7256"


def ingress(
    weight: int | None, backend: str = "chat-v2", managers: Mapping[str, str] | None = None, **changes: str
) -> dict[str, Any]:
    """An Ingress as the API server returns it; without a weight, the stable one. `managers`: who owns an annotation."""
    name = "chat-stable" if weight is None else "chat-canary"
    annotations = {} if weight is None else {f"{PREFIX}/canary": "true", f"{PREFIX}/canary-weight": str(weight)}
    annotations |= {f"{PREFIX}/{key.replace('_', '-')}": value for key, value in changes.items()}
    owners: dict[str, list[str]] = {}
    for key in annotations:
        owners.setdefault((managers or {}).get(key.removeprefix(f"{PREFIX}/"), _PULUMI), []).append(key)
    owners.setdefault((managers or {}).get("backend", _PULUMI), [])
    fields = [
        {
            "manager": owner,
            "fieldsV1": {
                "f:metadata": {"f:annotations": {f"f:{key}": {} for key in keys}},
                **({"f:spec": {"f:rules": {}}} if owner == (managers or {}).get("backend", _PULUMI) else {}),
            },
        }
        for owner, keys in owners.items()
    ]
    path = {"path": "/", "backend": {"service": {"name": backend, "port": {"name": "http"}}}}
    return {
        "metadata": {
            "name": name,
            "labels": {"serinus.dev/service": "chat"},
            "annotations": annotations,
            "managedFields": fields,
        },
        "spec": {"rules": [{"host": "chat.example.com", "http": {"paths": [path]}}]},
    }


def resource(new: dict[str, Any] | None, old: dict[str, Any] | None, type_: str = _TYPE, name: str = "") -> Any:
    """The engine's word on one resource."""
    document: dict[str, Any] = new or old or {}
    op = "same" if new == old else "update" if new and old else "create" if new else "delete"
    differs = {f'metadata.annotations["{PREFIX}/canary-weight"]': {"diffKind": "update"}} if op == "update" else None
    metadata = {
        "op": op,
        "urn": f"urn:pulumi:dev::serinus::{type_}::{name or document['metadata']['name']}",
        "type": type_,
        "old": None if old is None else {"inputs": old, "outputs": old},
        "new": None if new is None else {"inputs": new, "outputs": {}},
        "detailedDiff": differs,
    }
    return {"resourcePreEvent": {"metadata": metadata}}


def policy(rule: str, sentence: str, level: str = "mandatory") -> Any:
    """The pack's word on one resource."""
    message = f"What the rule is about.\n{sentence}\n"
    return {"policyEvent": {"policyName": rule, "message": message, "enforcementLevel": level}}


def diagnostic(message: str, severity: str = "error") -> Any:
    """Something that the engine, the program or the provider said."""
    return {"diagnosticEvent": {"message": message, "severity": severity}}


def log(*events: Any, config: Mapping[str, str] | None = None) -> list[str]:
    """The event log of a preview."""
    begin = {"preludeEvent": {"config": dict(CONFIG if config is None else config)}}
    stack = {"resourcePreEvent": {"metadata": {"op": "same", "urn": _STACK, "type": "pulumi:pulumi:Stack"}}}
    return [json.dumps(event) for event in (begin, stack, *events, {"cancelEvent": {}})]


def preview(old: int | None = 5, new: int = 20, *events: Any, config: Mapping[str, str] | None = None) -> Preview:
    """A preview that moves the weight; `old` None: nothing was deployed yet."""
    before = None if old is None else ingress(old)
    stable = ingress(None, "chat-v1")
    moved = resource(ingress(new), before), resource(stable, None if old is None else stable)
    return read_preview(log(*moved, *events, config=config), "serinus")


def status(**changes: Any) -> dict[str, Any]:
    """A status that lets the step 5 → 20 pass; None leaves a key out."""
    passing = {
        "service": "chat",
        "canary": "v2-0f3a9c21",
        "weight": 5,
        "allowedWeight": 20,
        "verdict": "pass",
        "because": "no worse than the stable",
        "stableCounts": {"requests": 9500, "errors": 19, "slow": 300},
        "canaryCounts": {"requests": 500, "errors": 1, "slow": 17},
        "stepStartedAt": (NOW - timedelta(seconds=1003)).isoformat(),
        "bakedSeconds": 1000.0,
        "observedAt": (NOW - timedelta(seconds=3)).isoformat(),
        "observedGeneration": 7,
    }
    return {key: value for key, value in {**passing, **changes}.items() if value is not None}


def release(status_: Mapping[str, Any] | None, **changes: Any) -> dict[str, Any]:
    """A CanaryRelease as the API server returns it."""
    spec = {
        "service": "chat",
        "host": "chat.example.com",
        "stable": "v1-aaaaaaaa",
        "canary": "v2-0f3a9c21",
        "weight": 5,
        "ladder": LADDER,
        **changes,
    }
    return {"metadata": {"name": "chat", "generation": 7}, "spec": spec, "status": status_}


def live(weight: int = 5, release_: Mapping[str, Any] | None = None, **changes: Any) -> Live:
    """The cluster, with the canary's Ingress at this weight."""
    there = [ingress(weight, **changes), ingress(None, "chat-v1")]
    return Live(
        routes={one["metadata"]["name"]: route(one) for one in there},
        release=release_,
        no_release="" if release_ else "the cluster knows no CanaryReleases",
    )


def plan(preview_: Preview | None = None, live_: Live | str | None = None, expected: Expected | None = None) -> Plan:
    """The report of these; by default the step 5 → 20 that passes."""
    return assess(
        "dev",
        preview() if preview_ is None else preview_,
        live(5, release(status())) if live_ is None else live_,
        expected or Expected(),
        NOW,
    )
