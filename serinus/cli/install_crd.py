"""`serinus install-crd`: brings the definition of CanaryRelease to a cluster, once for all stacks there.

A definition belongs to the cluster: with it go all objects of its kind. So no stack owns it, no `pulumi destroy` takes
it along, and while a guarded stack stands its guard refuses to let the definition go.
"""

from typing import Annotated

import typer
import yaml

from local.progress import say
from serinus.cli.kubectl import Context, kubectl
from serinus.rollout.canary_release import CRD_NAME, crd


def command(
    context: Context = "",
    show: Annotated[bool, typer.Option("--print", help="Print the definition as YAML, and install nothing.")] = False,
) -> None:
    """Install the definition of CanaryRelease, or bring it up to date. Guarded stacks need it."""
    if show:
        print(yaml.safe_dump(crd(), sort_keys=False), end="")
        return
    what = f"installing {CRD_NAME}"
    # By force: whoever installed it last may have done so by other means, and it is nobody's to adapt.
    flags = ("--server-side", "--force-conflicts", "--field-manager=serinus", "-f", "-")
    kubectl(context, "apply", *flags, what=what, document=crd())
    kubectl(context, "wait", "--for=condition=Established", f"crd/{CRD_NAME}", "--timeout=30s", what=what)
    say(f"{CRD_NAME} is installed.")
