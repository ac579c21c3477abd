"""`serinus resume`: ends a hold. Somebody looked, and says so by name and with a reason.

No traffic moves by it. The Ingress stays as the cut left it, and its fields go back to whoever declares them: the next
`pulumi up` decides.
"""

import json
from datetime import UTC, datetime

from local.errors import LocalError
from local.progress import say
from serinus.cli.kubectl import Context
from serinus.cli.service import AsJson, By, Name, Namespace, Reason, Service, spec_of
from serinus.rollout.alertmanager import LONGEST_REASON, plain
from serinus.rollout.cut import give_back
from serinus.rollout.deed import Deed, Kind
from serinus.rollout.hand import resumed


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
    is_held = bool(found and (found.get("status") or {}).get("hold"))
    owned = bool(give_back(at.ingress()["metadata"].get("managedFields", [])))
    if not is_held and not owned:
        raise LocalError(f"{service} is not held", remedy=f"serinus status {service} -n {namespace}")
    now = datetime.now(UTC)
    # The hold first: as long as it stands, an agent cuts again whatever is given back.
    if is_held:
        at.change_status(lambda spec, generation, status: resumed(spec, generation, status, now))
    at.give_back()
    release = spec_of(found)[0].canary if found else ""
    deed = Deed(Kind.RESUMED, service, at.who(by), plain(reason, LONGEST_REASON), now, release)
    number = at.note_after("resumed", deed).number
    if as_json:
        print(json.dumps({"service": service, "resumed": True, "entry": number}))
    else:
        say(f"{namespace}/{service} is no longer held. Its weight is 0 % until the next `pulumi up`.")
