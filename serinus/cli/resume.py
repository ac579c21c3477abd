"""`serinus resume`: ends a hold. Somebody looked, and says so by name and with a reason.

No traffic moves by it. The Ingress stays as the cut left it, and its fields go back to whoever declares them: the next
`pulumi up` decides.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.errors import LocalError
from local.progress import say
from serinus.cli.kubectl import Context
from serinus.cli.service import AsJson, By, Name, Namespace, Reason, Service, spec_of, weight_of
from serinus.rollout.alertmanager import LONGEST_REASON, plain
from serinus.rollout.canary_release import Spec
from serinus.rollout.cut import give_back
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.hand import HandError, resumed
from serinus.rollout.memory import LOST

_TRIES = 3


def command(
    service: Name,
    reason: Reason,
    namespace: Namespace = "serinus",
    context: Context = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Let a release that is held rise again, as its evidence allows. The weight stays where it is."""
    if not reason.strip():
        raise LocalError("--reason is empty", remedy="Say what was found, in a few words.")
    at = Service(context, namespace, service)
    found = at.release()
    patch = give_back(at.ingress()["metadata"].get("managedFields", []))
    if not _hold(found) and not patch:
        raise LocalError(f"{service} is not held", remedy=f"serinus status {service} -n {namespace}")
    now = datetime.now(UTC)
    _free(at, found, patch, now)
    release = spec_of(found)[0].canary if found else ""
    deed = Deed(Kind.RESUMED, service, at.who(by), plain(reason, LONGEST_REASON), now, release)
    number = at.note_after("resumed", deed).number
    if as_json:
        print(json.dumps({"service": service, "resumed": True, "entry": number}))
    else:
        weight = weight_of(at.ingress())
        say(f"{namespace}/{service} is no longer held. Its weight is {weight} % until the next `pulumi up`.")


def _free(at: Service, found: dict[str, Any] | None, patch: list[dict[str, Any]], now: datetime) -> None:
    """Take the hold out and give the Ingress back; again where an agent found the one without the other meanwhile."""
    for _ in range(_TRIES):
        hold = _hold(found)
        # The hold first: as long as it stands, an agent cuts again whatever is given back.
        if hold:
            at.change_status(ending(hold, now))
        at.give_back(patch)
        found, patch = at.release(), []
        if _hold(found).get("reason") != LOST:
            break
    if _hold(found):
        told = f"{at.name} is held anew: {_hold(found).get('reason')}"
        raise LocalError(told, remedy=f"serinus status {at.name} -n {at.namespace}")


def ending(hold: dict[str, Any], now: datetime) -> Callable[[Spec, int, object], dict[str, Any]]:
    """Return the change that ends this hold, and no other: one that came meanwhile was not looked at."""

    def change(spec: Spec, generation: int, status: object) -> dict[str, Any]:
        if isinstance(status, Mapping) and status.get("hold") not in (None, hold):
            raise HandError(f"{spec.service} is held anew", f"serinus status {spec.service}")
        return resumed(spec, generation, status, now)

    return change


def _hold(found: dict[str, Any] | None) -> dict[str, Any]:
    return ((found or {}).get("status") or {}).get("hold") or {}
