"""Reads what the cluster serves now, by the user's own kubectl: with their rights, and as they could by hand."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from serinus.cli.engine_events import labelled, route
from serinus.rollout.canary_release import CRD_NAME
from serinus.rollout.plan import Live

_SECONDS = 20.0
# How kubectl says that the cluster does not know a kind at all.
_NO_SUCH_KIND = "doesn't have a resource type"


def read_live(config: Mapping[str, str], folder: Path, environ: Mapping[str, str]) -> Live | str:
    """Read the service's Ingresses and its CanaryRelease; a sentence says why they can't be read.

    `config` holds the stack's settings, `folder` is the project's, `environ` the environment of kubectl.
    """
    service, namespace = config.get("service", ""), config.get("namespace", "")
    if not service or not namespace:
        return "the settings name no service and namespace"
    kubectl = ["kubectl", "--namespace", namespace, "--request-timeout=10s"]
    if config.get("kubeconfig"):
        kubectl += ["--kubeconfig", str(Path(config["kubeconfig"]).expanduser())]
    if config.get("context"):
        kubectl += ["--context", config["context"]]
    try:
        listed = _get([*kubectl, "get", "ingresses", "--show-managed-fields"], folder, environ)
        ingresses = [one for one in listed["items"] if labelled(one, service)]
        routes = {one["metadata"]["name"]: route(one) for one in ingresses}
    except _UnreadableError as error:
        return f"the cluster can't be read: {error}"
    try:
        found = _get([*kubectl, "get", CRD_NAME, service, "--ignore-not-found"], folder, environ)
    except _UnreadableError as error:
        if _NO_SUCH_KIND in str(error):
            return Live(routes=routes, release=None, no_release="the cluster knows no CanaryReleases")
        return f"the CanaryRelease can't be read: {error}"
    missing = "" if found else f"there is no CanaryRelease {service} in the namespace {namespace}"
    return Live(routes=routes, release=found or None, no_release=missing)


class _UnreadableError(Exception):
    """What kubectl said when it could not answer."""


def _get(command: list[str], folder: Path, environ: Mapping[str, str]) -> dict[str, list[dict[str, dict[str, str]]]]:
    try:
        done = subprocess.run(
            [*command, "--output=json"],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        answer: dict[str, list[dict[str, dict[str, str]]]] = json.loads(done.stdout or "{}")
    except FileNotFoundError:
        raise _UnreadableError("kubectl is not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise _UnreadableError(f"kubectl took more than {_SECONDS:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise _UnreadableError((error.stderr.strip().splitlines() or [f"exit {error.returncode}"])[-1]) from None
    except json.JSONDecodeError:
        raise _UnreadableError("kubectl printed no JSON") from None
    return answer
