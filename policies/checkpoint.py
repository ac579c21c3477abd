"""What the engine's checkpoint knows of a resource before this update. The engine itself gives a rule only new values.

The checkpoint is read by `pulumi stack export`, which takes no lock and so also works inside a running update, on
every backend. It is read once a run: while it is judged, the update has not touched the resource yet.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Any

_SECONDS = 60
_DOCUMENT_VERSION = 3


class CheckpointError(Exception):
    """The checkpoint can't be read or understood; the message says why."""


def states(urn: str) -> list[Mapping[str, Any]]:
    """Return what the checkpoint holds for this resource: its state, and any state that a killed update left half-done.

    An empty list means that the resource never existed. Raises CheckpointError.
    """
    return [state for state in resources(urn) if state.get("urn") == urn]


def resources(urn: str) -> list[Mapping[str, Any]]:
    """Return what the checkpoint holds of the whole stack that this resource is part of. Raises CheckpointError."""
    stack, project = _stack_and_project(urn)
    exported = _export(os.environ.get("PULUMI_ORGANIZATION") or "organization", project, stack)
    if isinstance(exported, CheckpointError):
        raise exported
    return [state for state in exported if not state.get("delete")]


def _stack_and_project(urn: str) -> tuple[str, str]:
    # The host that runs the pack may or may not put them into the environment; the URN always has them.
    stack, project, *_ = urn.removeprefix("urn:pulumi:").split("::")
    return stack, project


@cache
def _export(organization: str, project: str, stack: str) -> list[Mapping[str, Any]] | CheckpointError:
    """All states of a stack. An error is returned, not raised: so it is cached, too."""
    command = ["pulumi", "stack", "export", "--non-interactive", "--stack", f"{organization}/{project}/{stack}"]
    environ = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True, env=environ)
        return _states(json.loads(done.stdout))
    except FileNotFoundError:
        return CheckpointError("`pulumi` is not on the PATH of the policy pack")
    except subprocess.TimeoutExpired:
        return CheckpointError(f"`pulumi stack export` took more than {_SECONDS} s")
    except subprocess.CalledProcessError as error:
        return CheckpointError(f"`pulumi stack export` failed: {error.stderr.strip() or f'exit {error.returncode}'}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return CheckpointError(f"`pulumi stack export` printed no checkpoint that is understood: {error!r}")


def _states(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if document["version"] != _DOCUMENT_VERSION:
        raise ValueError(f"its version is {document['version']}, not {_DOCUMENT_VERSION}")
    deployment = document["deployment"] or {}
    pending = [operation["resource"] for operation in deployment.get("pending_operations") or []]
    return [*(deployment.get("resources") or []), *pending]
