"""The way up: look, decide, act, look again, until the goal is reached or somebody is needed.

It keeps nothing between two looks that another promoter would need.
"""

from datetime import UTC, datetime

from serinus.cli.promote.cluster import Seen
from serinus.cli.promote.hands import Hands
from serinus.cli.promote.outcome import Exit, Outcome
from serinus.rollout.promotion import Act, Kind, next_act
from serinus.rollout.status import Status

# A step may meet a status that has just grown too old, or an agent that has just seen more. Once is no refusal.
_TRIES = 3
_CONVERGE = "`serinus rollback SERVICE --converge --reason …`"


def climb(hands: Hands, until: int, *, once: bool = False) -> Outcome:
    """Raise the weight rung by rung to `until` percent; with `once` by one rung."""
    hands.tidy()
    refused, applied = 0, None
    while True:
        seen = hands.look()
        if hands.disturbed():
            return Outcome(
                Exit.REFUSED,
                f"{hands.file.path.name} was changed by somebody else while it was promoted",
                "Look at the change, then promote again.",
            )
        act = next_act(seen.situation, until, datetime.now(UTC))
        hands.show.state(seen, act)
        if act.kind in (Kind.RAISE, Kind.APPLY):
            if act.kind is Kind.APPLY and applied == act.weight:
                # Else it would run updates for ever, each of them with success.
                return Outcome(
                    Exit.ERROR,
                    f"{act.weight} % was applied, but the cluster serves {seen.situation.served} %",
                    "Look at `serinus plan`: somebody else writes the Ingress or the CanaryRelease.",
                )
            rises = act.weight > seen.situation.served
            update = hands.change({"weight": act.weight}, f"weight {act.weight} %", keep=not rises)
            if update.ok and once and rises:
                return Outcome(Exit.DONE, f"the weight is {act.weight} %; one step was asked for")
            refused, applied = (0, act.weight) if update.ok else (refused + 1, applied)
            if refused and (refused >= _TRIES or not rises):
                return Outcome(Exit.REFUSED, f"the update to {act.weight} % was refused: {'; '.join(update.said)}")
        elif act.kind is not Kind.WAIT:
            return ending(act, seen, hands.file.path.name)
        elif hands.out_of_time():
            return Outcome(Exit.TIME, f"the rollout waits at {seen.situation.served} %: {_why(act)}")
        else:
            hands.sleep()


def ending(act: Act, seen: Seen, file: str) -> Outcome:
    """Say how a promoter ends that can't go on by itself, or needn't."""
    situation = seen.situation
    if act.kind is Kind.APPROVAL:
        service = situation.declared.service
        return Outcome(
            Exit.APPROVAL,
            f"the rise from {situation.served} to {act.weight} % needs an approval",
            f"serinus approve {service} --weight {act.weight} --reason …, then promote again",
        )
    if act.kind is Kind.HELD:
        behind = situation.committed > situation.served
        lower = f" {file} says {situation.committed} %: {_CONVERGE} brings it down." if behind else ""
        remedy = f"Look at the evidence. `serinus resume` ends a hold, with a reason.{lower}"
        return Outcome(Exit.HELD, f"stopped at {situation.served} %: {_why(act)}{_evidence(seen, act)}", remedy)
    if act.kind is Kind.REFUSED:
        remedy = act.because[0].remedy
        if situation.committed > situation.served:
            remedy += f" After a cut {_CONVERGE} brings it down."
        return Outcome(Exit.REFUSED, f"{file} says {act.weight} %: {_why(act)}", remedy)
    if not situation.declared.canary:
        return Outcome(Exit.DONE, "there is no canary; nothing is left to promote")
    return Outcome(Exit.DONE, f"the canary is at {situation.served} %")


def _why(act: Act) -> str:
    return act.why or "there is nothing to wait for"


def _evidence(seen: Seen, act: Act) -> str:
    """The counts, and of the judge's reasons and the hold what `act` has not said."""
    status = seen.situation.status
    if not isinstance(status, Status):
        return ""
    arms = (("canary", status.canary_counts), ("stable", status.stable_counts))
    counts = ", ".join(f"{arm} {of.errors} errors and {of.slow} slow of {of.requests}" for arm, of in arms)
    held = f"; held by {status.hold.by} since {status.hold.since.isoformat()}" if status.hold else ""
    because = "" if status.because in act.why else f"; {status.because}"
    return f" ({counts}{because}{held})"
