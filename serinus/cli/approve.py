"""`serinus approve`: a person's yes to the rise to one rung of the ladder."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from local.progress import say
from serinus.cli.kubectl import Context
from serinus.cli.service import AsJson, By, Name, Namespace, Service, weight_of
from serinus.rollout.alertmanager import LONGEST_REASON, plain
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.hand import approved
from serinus.rollout.hold import Approval


def command(
    service: Name,
    weight: Annotated[int, typer.Option(help="The rung's weight in percent.", min=1, max=100)],
    namespace: Namespace = "serinus",
    context: Context = "",
    by: By = "",
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "approved",
    as_json: AsJson = False,
) -> None:
    """Approve the rise to a rung that asks for it. The other rules stay as they are."""
    at = Service(context, namespace, service)
    now, who = datetime.now(UTC), at.who(by)
    approval = Approval(weight=weight, by=who, at=now)
    status = at.change_status(lambda spec, generation, before: approved(spec, generation, before, approval))
    _, spec, _ = at.declared()
    old = weight_of(at.ingress())
    deed = Deed(Kind.APPROVED, service, who, plain(reason, LONGEST_REASON), now, spec.canary, old, weight)
    number = at.note_after("approved", deed).number
    if as_json:
        print(json.dumps({"service": service, "approved": weight, "by": who, "entry": number}))
    else:
        say(f"{namespace}/{service}: {weight} % is approved by {who}. Allowed now: {status['allowedWeight']} %.")
