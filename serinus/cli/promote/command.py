"""`serinus promote`: takes a release from the first percent to the swap, and stops where a person is needed."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Annotated

import typer

from local.errors import LocalError
from local.progress import console
from serinus.cli.promote import ends, propose
from serinus.cli.promote.climb import climb, ending
from serinus.cli.promote.cluster import Cluster
from serinus.cli.promote.engine import Engine
from serinus.cli.promote.hands import Hands
from serinus.cli.promote.interrupts import InterruptedByUserError, Interrupts
from serinus.cli.promote.outcome import MEANING, Exit, Outcome
from serinus.cli.promote.seat import Seat, SeatTakenError
from serinus.cli.promote.show import Json, Lines, Picture, Show, sentence
from serinus.cli.promote.stackfile import StackFile
from serinus.cli.service import Policies
from serinus.cli.stack import environment, project_folder
from serinus.rollout.promotion import Kind, next_act

_TOP = 100
_CODES = "\n\n".join(f"{int(code)}: {meaning}." for code, meaning in MEANING.items())
HELP = f"""Raise the canary's weight, rung by rung, as the evidence allows it.

Each step changes the one number in Pulumi.STACK.yaml and runs `pulumi up` with the policy pack. It waits for the bake
and the verdict, stops where a person must approve, and stops at a hold with the evidence. All it needs to know stands
in the stack's file and in the cluster: after a Ctrl-C, or a crash, start it again.

Exit codes:

{_CODES}
"""


def command(
    stack: Annotated[str, typer.Argument(help="The stack; its settings are in Pulumi.<stack>.yaml.")] = "dev",
    until: Annotated[int, typer.Option(min=0, max=_TOP, help="End at this rung of the ladder, in percent.")] = _TOP,
    once: Annotated[bool, typer.Option("--once", help="End after one step.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what comes next, and change nothing.")] = False,
    within: Annotated[
        float | None, typer.Option(min=0.0, help="End after so many seconds where the rollout still waits.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line, for scripts.")] = False,
    to_propose: Annotated[
        bool, typer.Option("--propose", help="Write the next step to a new Git branch instead of applying it.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Climb what is left, then make the canary the stable release.")
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="Undo the last swap, at once.")] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Let the release before the swap go, once serinus:warmSeconds are over.")
    ] = False,
    policies: Policies = "",
) -> None:
    """Raise the canary's weight, rung by rung, as the evidence allows it."""
    chosen = [name for name, on in (("--finish", finish), ("--back", back), ("--retire", retire)) if on]
    if len(chosen) > 1 or (chosen and (once or dry_run or to_propose or until != _TOP)):
        raise typer.BadParameter(f"{' and '.join(chosen)} goes with --within, --json and --policies only")
    if to_propose and (once or dry_run or within is not None):
        raise typer.BadParameter("--propose looks once; it does not go with --once, --dry-run and --within")

    def act(hands: Hands) -> Outcome:
        if finish:
            return ends.finish(hands)
        if back:
            return ends.back(hands)
        if retire:
            return ends.retire(hands)
        return climb(hands, until, once=once)

    with Json() if as_json else Picture(console) if console.is_terminal else Lines() as show:
        if dry_run or to_propose:
            outcome = _only_look(stack, until, show, to_propose=to_propose)
        else:
            outcome = drive(stack, act, show, policies or stack, within, seated=not back)
        show.end(outcome)
    raise typer.Exit(int(outcome.exit))


def drive(
    stack: str,
    act: Callable[[Hands], Outcome],
    show: Show,
    policies: str,
    within: float | None = None,
    *,
    seated: bool,
) -> Outcome:
    """Do something with a stack, and turn every way to end into an outcome.

    `seated` says whether it takes the service's only promoter's seat; what lowers a weight needs none.
    """
    with Interrupts() as interrupts:
        try:
            with _hands(stack, show, policies, within, interrupts, seated=seated) as hands:
                return act(hands)
        except InterruptedByUserError:
            return Outcome(Exit.INTERRUPTED, "interrupted; start it again to go on")
        except SeatTakenError as error:
            return Outcome(Exit.TAKEN, str(error), "Wait until it ends, or interrupt it.")
        except LocalError as error:
            if interrupts.count:
                return Outcome(Exit.INTERRUPTED, "interrupted; start it again to go on")
            return Outcome(Exit.ERROR, str(error), error.remedy)


@contextmanager
def _hands(
    stack: str, show: Show, policies: str, within: float | None, interrupts: Interrupts, *, seated: bool
) -> Iterator[Hands]:
    folder = project_folder()
    file = StackFile(folder, stack)
    environ = {**os.environ, **environment(file.path)}
    cluster = Cluster(file.settings(), folder, environ)
    with Seat(cluster) if seated else nullcontext() as seat:
        engine = Engine(folder, stack, environ, policies, interrupts, folder / "build" / "logs" / "promote-pulumi.log")
        yield Hands(file, cluster, engine, interrupts, show, within, seat.check if seat else lambda: None)


def _only_look(stack: str, until: int, show: Show, *, to_propose: bool) -> Outcome:
    try:
        folder = project_folder()
        file = StackFile(folder, stack)
        cluster = Cluster(file.settings(), folder, {**os.environ, **environment(file.path)})
        seen = cluster.look(file.settings())
        act = next_act(seen.situation, until, datetime.now(UTC))
        show.state(seen, act)
        if act.kind not in (Kind.RAISE, Kind.APPLY, Kind.WAIT):
            return ending(act, seen, file.path.name)
        if not to_propose:
            return Outcome(Exit.DONE, f"nothing was changed; next: {act.kind} {act.weight} %")
        if act.kind is not Kind.RAISE:
            return Outcome(Exit.REFUSED, f"there is no step to propose now: {sentence(seen, act)}")
        branch = propose.branch_of(cluster.service, act.weight)
        message = f"{cluster.service}: canary {act.weight} %\n\n{sentence(seen, act)}"
        propose.commit(file, {"weight": act.weight}, branch, message)
    except LocalError as error:
        return Outcome(Exit.ERROR, str(error), error.remedy)
    return Outcome(Exit.DONE, f"the step to {act.weight} % is on the branch {branch}", f"git push origin {branch}")
