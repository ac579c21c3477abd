"""`serinus install-agent`: brings the agent to a cluster, once for all services there.

A service has it as soon as its stack says so (`serinus:agent`); until then the agent may do nothing in its namespace.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer
import yaml

from local.errors import LocalError
from local.progress import say
from serinus.cli.kubectl import Context, Reach, kubectl
from serinus.rollout import agency
from serinus.rollout.agency_objects import Installation, installed

_WAIT_SECONDS = 180


def command(
    gateway: Annotated[
        list[str],
        typer.Option(
            help="A URL of the gateway's metrics, such as http://gateway-metrics.gateway:9100/metrics; once for each. "
            "The name of a headless Service stands for all its pods."
        ),
    ],
    image: Annotated[
        str, typer.Option(help="The agent's image by its digest; Dockerfile.agent builds it. Your nodes must reach it.")
    ],
    context: Context = "",
    prometheus: Annotated[
        str,
        typer.Option(help="The URL of a Prometheus whose firing alerts count too, for services that name no other."),
    ] = "",
    show: Annotated[bool, typer.Option("--print", help="Print the objects as YAML, and install nothing.")] = False,
) -> None:
    """Install the agent, or bring it up to date: two pods in serinus-system for all services of the cluster.

    Run it again with other options to change them. A service gets the agent by `serinus:agent: true` in its stack.
    """
    for url in (*gateway, *([prometheus] if prometheus else [])):
        if not url.startswith(("http://", "https://")):
            raise LocalError(
                f"{url!r} is no URL with http or https", remedy="give the whole URL, such as http://…:9100/metrics"
            )
    objects = installed(Installation(image, gateway, prometheus))
    if show:
        print(yaml.safe_dump_all(objects, sort_keys=False), end="")
        return
    install(Reach.by_context(context), objects)
    say(f"{agency.NAME} runs in {agency.NAMESPACE}.")


def install(at: Reach, objects: Sequence[dict[str, Any]]) -> None:
    """Apply the agent's objects, and any others among them; wait until its pods are ready. Raises LocalError."""
    what = "installing the agent"
    # By force: whoever installed it last may have done so by other means, and it is nobody's to adapt.
    flags = ("--server-side", "--force-conflicts", "--field-manager=serinus", "-f", "-")
    kubectl(at, "apply", *flags, what=what, document={"apiVersion": "v1", "kind": "List", "items": list(objects)})
    place = ("-n", agency.NAMESPACE, f"deployment/{agency.NAME}", f"--timeout={_WAIT_SECONDS}s")
    remedy = f"look at its pods: kubectl -n {agency.NAMESPACE} describe pods; then logs deployment/{agency.NAME}"
    patient = replace(at, seconds=_WAIT_SECONDS + 10)
    kubectl(patient, "rollout", "status", *place, what=what, remedy=remedy)
