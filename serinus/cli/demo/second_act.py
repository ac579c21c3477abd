"""The second act: a release that turns bad at 20 %, and what becomes of it when nobody does anything."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local import places
from local.errors import LocalError
from local.progress import console, quote, say, step
from local.traffic import Answer
from serinus.cli.demo.people import People
from serinus.cli.demo.project import NAMESPACE, Project
from serinus.cli.demo.results import SecondAct, of
from serinus.cli.service import Service, annotations
from serinus.rollout.cut import is_cut
from serinus.rollout.drill import Heard, Timeline, timeline
from serinus.rollout.manifest import load_release

BAD = "v3-fails"
_RUNG = 20
_HEALTHY_SECONDS = 8.0
_QUIET_SECONDS = 4.0
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 120.0
_HELD = 3  # how `serinus promote` ends at a hold


@dataclass(frozen=True)
class Played:
    """What came of it: the figures, and what its picture is made of."""

    figures: SecondAct
    answers: Sequence[Answer]
    moments: Timeline
    since: float


def play(project: Project, people: People, arrive: Callable[[int], None], zero: Callable[[], bool] | None) -> Played:
    """Release it, break it, watch.

    `arrive` waits for a weight at the gateway, `zero` says whether it is 0 there; None where nobody can ask it.
    """
    at = Service(project.names.context, NAMESPACE, project.names.service)
    say(f"  $ pulumi config set serinus:canary {BAD} && pulumi up", markup=False)
    with people.asking() as load:
        with step(f"pulumi up: {BAD} is the canary, at 0 %; its ladder begins at {_RUNG} %"):
            project.begin_ladder_at(_RUNG)  # 5 % of so few users would take minutes to show anything
            project.change({"canary": BAD, "weight": 0}, f"`pulumi up` with {BAD}")
        say(f"  $ serinus promote demo --until {_RUNG}", markup=False)
        with step(f"up to {_RUNG} %, while it still answers well"):
            project.promote("--until", str(_RUNG))
            arrive(_RUNG)
            since = time.time()
            time.sleep(_HEALTHY_SECONDS)
        with step(f"{BAD} fails every request from now on, and nobody does anything"), _broken(at) as injected:
            decided, cut, gateway, because = _watch(at, injected, zero)
            time.sleep(_QUIET_SECONDS)
    heard = [Heard(one.at, of(BAD, one), one.failed) for one in load.answers]
    moments = timeline(injected, heard, decided, cut)
    with step("`serinus promote` meets the hold"):
        stopped = project.promote("--once", ok=(0, _HELD))[-1]
    quote(stopped.sentence, "yellow")
    figures = figures_of(moments, gateway, load.answers, stopped=stopped.code == _HELD, because=because)
    say("  $ pulumi config set serinus:weight 0 && pulumi up", markup=False)
    with step("pulumi up: the committed number follows the cut, and the ladder is whole again"):
        project.begin_ladder_at(0)
        project.move(0)
    _tell(figures, moments)
    return Played(figures, load.answers, moments, since)


@contextmanager
def _broken(at: Service) -> Iterator[float]:
    """Break the release in all its pods by its file; mend it at the end. Yields when, in Unix seconds."""
    file = str(load_release(places.ROOT / "releases" / f"{BAD}.yaml").options["fail_file"])
    _, spec, _ = at.declared()
    pods = at.pods(spec.canary)
    if not pods:
        raise LocalError(f"the release {spec.canary} has no pods", remedy=f"serinus status {at.name} -n {NAMESPACE}")
    since = time.time()
    try:
        for pod in pods:
            at.execute(pod, "touch", file)
        yield since
    finally:
        for pod in pods:
            at.execute(pod, "rm", "-f", file)


def _watch(
    at: Service, since: float, zero: Callable[[], bool] | None
) -> tuple[float | None, float | None, float | None, str]:
    """Look until it is over; return when the agent decided, when the Ingress was cut, when the gateway, and why."""
    cut = gateway = decided = None
    hold: dict[str, Any] = {}
    while time.time() < since + _PATIENCE_SECONDS and (cut is None or decided is None or (zero and gateway is None)):
        if zero and gateway is None and zero():
            gateway = time.time()
        if cut is None and is_cut(annotations(at.ingress())):
            cut = time.time()
        if cut is not None and decided is None:
            hold = ((at.release() or {}).get("status") or {}).get("hold") or {}
            decided = datetime.fromisoformat(hold["since"]).timestamp() if "since" in hold else None
        time.sleep(_LOOK_SECONDS)
    return decided, cut, gateway, str(hold.get("reason", ""))


def figures_of(
    moments: Timeline, gateway: float | None, answers: Sequence[Answer], *, stopped: bool, because: str
) -> SecondAct:
    """Count the act. `gateway` is when the gateway itself said 0; None where it did not, or can't be asked."""
    first = moments.first_failed

    def after(moment: float | None) -> float | None:
        return None if first is None or moment is None else round(max(moment - first, 0.0), 2)

    return SecondAct(
        release=BAD,
        weight=_RUNG,
        fault_to_zero_s=after(moments.last_on_canary),
        verdict_s=after(moments.decided),
        cut_s=after(moments.cut),
        gateway_s=after(gateway),
        requests=len(answers),
        failed=sum(one.failed for one in answers),
        promoter_stopped=stopped,
        because=because,
    )


def _tell(figures: SecondAct, moments: Timeline) -> None:
    say()
    first = moments.first_failed
    fault = None if first is None else moments.injected - first
    rows = (
        (fault, f"{BAD} turns bad"),
        (None if first is None else 0.0, "the first failed answer"),
        (figures.verdict_s, "the agent's verdict, and the hold"),
        (figures.cut_s, "the Ingress is seen at weight 0"),
        (figures.gateway_s, "the gateway is seen to route nothing to it"),
        (figures.fault_to_zero_s, f"the last answer of the canary; {figures.failed} had failed"),
    )
    for seconds, what in rows:
        shown = "   never" if seconds is None else f"{seconds:+6.1f} s"
        console.print(f"  {shown}  {what}", markup=False)
    quote(figures.because, "red")
    say()
