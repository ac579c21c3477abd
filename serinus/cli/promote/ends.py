"""The ends of a rollout: the swap, its way back, the farewell to the old release, and 0 after a cut."""

from datetime import UTC, datetime

from serinus.cli.promote.climb import climb, ending
from serinus.cli.promote.hands import POLL_SECONDS, Hands
from serinus.cli.promote.outcome import Exit, Outcome
from serinus.rollout.promotion import Kind, next_act, swap_act
from serinus.rollout.swap import NothingToSwapError, Roles, finished, retired, undone, warm_left


def finish(hands: Hands) -> Outcome:
    """Climb what is left to climb; then make the canary the stable release."""
    climbed = climb(hands, 100)
    roles = hands.roles()
    if climbed.exit is not Exit.DONE or not roles.canary:
        return climbed
    after = finished(roles)
    while True:
        seen = hands.look()
        act = swap_act(seen.situation, seen.stable, datetime.now(UTC))
        hands.show.state(seen, act)
        if act.kind is Kind.APPLY:
            said = f"{after.stable} is the stable release; {after.previous} stays warm for `serinus promote --back`"
            return _turn(hands, roles, after, said, keep=False)
        if act.kind is not Kind.WAIT:
            return ending(act, seen, hands.file.path.name)
        if hands.out_of_time():
            return Outcome(Exit.TIME, f"the swap waits: {act.why}")
        hands.sleep()


def back(hands: Hands) -> Outcome:
    """Undo the last swap at once. This is a rollback: it asks for nothing and waits for nobody."""
    roles = hands.roles()
    try:
        after = undone(roles)
    except NothingToSwapError as error:
        return _bring(hands, Exit.REFUSED, str(error))
    said = f"{after.stable} is the stable release again; {after.canary} is the canary, at 0 %"
    return _turn(hands, roles, after, said, keep=True)


def retire(hands: Hands) -> Outcome:
    """Let the release before the swap go, once its time is over."""
    roles, warm_seconds = hands.roles(), hands.warm_seconds()
    if not roles.previous:
        return _bring(hands, Exit.DONE, "no release is kept for the way back")
    hands.tidy()
    while (left := warm_left(hands.look().swapped_at, warm_seconds, datetime.now(UTC))) > 0:
        if hands.out_of_time():
            return Outcome(Exit.TIME, f"{roles.previous} stays warm for another {left:.0f} s")
        hands.show.waiting(f"{roles.previous} stays warm for another {left:.0f} s")
        hands.sleep(min(left, POLL_SECONDS))
    return _turn(hands, roles, retired(roles), f"{roles.previous} is gone", keep=False)


def converge(hands: Hands) -> Outcome:
    """Bring the committed number to 0, and the stack with it."""
    update = hands.change({"weight": 0}, "weight 0 %", keep=True)
    if not update.ok:
        return Outcome(Exit.REFUSED, f"the update to 0 % failed: {'; '.join(update.said)}")
    return Outcome(Exit.DONE, "the committed weight is 0 %, as the cluster's is")


def _bring(hands: Hands, exit_: Exit, why: str) -> Outcome:
    """Nothing is to be written; but a promoter that was killed may have left lines that nobody has applied."""
    seen = hands.look()
    act = next_act(seen.situation, 0, datetime.now(UTC))
    if act.kind is not Kind.APPLY:
        return Outcome(exit_, why)
    update = hands.change({}, "what is committed", keep=True)
    if not update.ok:
        return Outcome(Exit.REFUSED, f"the update failed: {'; '.join(update.said)}")
    return Outcome(Exit.DONE, "the cluster is what is committed")


def _turn(hands: Hands, before: Roles, after: Roles, said: str, *, keep: bool) -> Outcome:
    update = hands.change(before.changes(after), f"stable {after.stable}", keep=keep)
    if not update.ok:
        return Outcome(Exit.REFUSED, f"the update failed: {'; '.join(update.said)}")
    return Outcome(Exit.DONE, said)
