"""Reads the engine's event log of a preview. Its digest, `preview --json`, leaves out what the policies refused."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from serinus.rollout.plan import Change, Preview, Refusal, Route

_INGRESS = re.compile(r"kubernetes:networking\.k8s\.io/[^:]+:Ingress")
_DENIED = re.compile(r"denied request: (?P<sentence>.*)", re.DOTALL)
_CONFLICT = re.compile(r"Apply failed with \d+ conflicts?: (?P<sentence>.*)", re.DOTALL)
_CODE = re.compile(r"\((?P<code>[a-z]+(?:-[a-z]+)*)\)")
# How the program begins when it refuses its settings (stacks/settings.py).
_UNUSABLE = "The settings of this stack can't be used"
# What the engine says at the end of every preview that failed; why, it has said before.
_PREVIEW_FAILED = "preview failed"


def read_preview(lines: Iterable[str], project: str) -> Preview:
    """Read the events of one `pulumi preview`, a JSON document a line. Raises ValueError for what is none."""
    events = [json.loads(line) for line in lines if line.strip()]
    config = {
        key.removeprefix(f"{project}:"): str(value)
        for event in _of(events, "preludeEvent")
        for key, value in (event.get("config") or {}).items()
        if key.startswith(f"{project}:")
    }
    service = config.get("service", "")
    resources = [event["metadata"] for event in _of(events, "resourcePreEvent")]
    # The stack itself is the parent of all, and nothing that anybody deploys.
    parts = [one for one in resources if one["type"] != "pulumi:pulumi:Stack"]
    ingresses = [one for one in resources if _INGRESS.fullmatch(one["type"])]
    wanted: dict[str, Route] = {}
    checkpoint: dict[str, Route] = {}
    for one in ingresses:
        for side, document in ((wanted, _part(one, "new", "inputs")), (checkpoint, _part(one, "old", "outputs"))):
            if labelled(document, service):
                side[document["metadata"]["name"]] = route(document)
    failures = list(dict.fromkeys(_failures(events)))
    return Preview(
        config=config,
        wanted=wanted,
        checkpoint=checkpoint,
        changes=tuple(_change(one) for one in parts if one["op"] != "same"),
        unchanged=sum(one["op"] == "same" for one in parts),
        refusals=(*_refusals(events), *(one for one in failures if isinstance(one, Refusal))),
        errors=tuple(one for one in failures if isinstance(one, str)),
    )


def route(ingress: Mapping[str, Any]) -> Route:
    """Read an Ingress, as the API server or the engine writes it."""
    metadata = ingress.get("metadata") or {}
    rules = (ingress.get("spec") or {}).get("rules") or []
    paths = [path for rule in rules for path in (rule.get("http") or {}).get("paths") or []]
    services = {str(((path.get("backend") or {}).get("service") or {}).get("name", "")) for path in paths}
    managers: dict[str, tuple[str, ...]] = {}
    for entry in metadata.get("managedFields") or []:
        fields = entry.get("fieldsV1") or {}
        keys = [key.removeprefix("f:") for key in (fields.get("f:metadata") or {}).get("f:annotations") or {}]
        # An empty key stands for the spec, where the backends are.
        for key in [*keys, *([""] if "f:spec" in fields else [])]:
            managers[key] = (*managers.get(key, ()), str(entry.get("manager", "")))
    return Route(
        annotations={str(key): str(value) for key, value in (metadata.get("annotations") or {}).items()},
        backends=tuple(sorted(services)),
        managers=managers,
    )


def labelled(ingress: Mapping[str, Any], service: str) -> bool:
    """Tell whether an Ingress belongs to the service."""
    labels = (ingress.get("metadata") or {}).get("labels") or {}
    return bool(service) and labels.get("serinus.dev/service") == service


def _of(events: Iterable[Mapping[str, Any]], kind: str) -> Iterator[Any]:
    return (event[kind] for event in events if kind in event)


def _part(metadata: Mapping[str, Any], when: str, part: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (metadata.get(when) or {}).get(part) or {}
    return found


def _change(metadata: Mapping[str, Any]) -> Change:
    return Change(
        op=metadata["op"],
        kind=metadata["type"].rpartition(":")[2],
        name=metadata["urn"].rpartition("::")[2],
        paths=tuple(sorted(metadata.get("detailedDiff") or {})),
    )


def _refusals(events: Iterable[Mapping[str, Any]]) -> Iterator[Refusal]:
    for event in _of(events, "policyEvent"):
        if event["enforcementLevel"] == "mandatory":
            # The first line describes the rule, what follows is what it says.
            _, _, sentence = event["message"].strip().partition("\n")
            yield Refusal(by="policy pack", rule=event["policyName"], sentence=sentence or event["message"].strip())


def _failures(events: Iterable[Mapping[str, Any]]) -> Iterator[str | Refusal]:
    for event in _of(events, "diagnosticEvent"):
        message = event["message"].strip()
        if event["severity"] != "error" or message == _PREVIEW_FAILED:
            continue
        denied, conflict = _DENIED.search(message), _CONFLICT.search(message)
        if message.startswith(_UNUSABLE):
            yield Refusal(by="program", rule="settings", sentence=message)
        elif denied:
            code = _CODE.search(denied["sentence"])
            yield Refusal(by="cluster", rule=code["code"] if code else "admission", sentence=denied["sentence"].strip())
        elif conflict:
            yield Refusal(
                by="cluster",
                rule="field-conflict",
                sentence=f"somebody else has set this: {conflict['sentence']}",
                remedy="Look at the drift. After a cut run `serinus resume`; a change by hand must be taken back.",
            )
        else:
            yield message
