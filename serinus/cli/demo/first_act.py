"""The first act: a good release from the first percent to the swap, with real answers all the way."""

from collections.abc import Callable
from dataclasses import dataclass, field

from local.progress import quote, say, step
from local.traffic import Answer
from serinus.cli.demo.people import People
from serinus.cli.demo.project import NAMESPACE, Project, require
from serinus.cli.demo.results import Step, Swap, observe, of, up_seconds
from serinus.cli.kubectl import kubectl
from serinus.rollout.profile import PROFILES

LADDER = tuple(int(rung["weight"]) for rung in PROFILES["fast"])
_JUMP = 80
_PODS = "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount}{'\\n'}{end}"


@dataclass
class FirstAct:
    """What came of it. `aside` are the answers that others got while a weight moved."""

    steps: list[Step] = field(default_factory=list)
    aside: list[Answer] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    swap: Swap | None = None

    @property
    def failed(self) -> int:
        """Requests without an answer in the whole act."""
        asked = sum(one.failed for one in self.steps) + sum(answer.failed for answer in self.aside)
        return asked + (self.swap.failed if self.swap else 0)

    @property
    def well(self) -> bool:
        """Whether it went as it should."""
        return not self.failed and bool(self.refusal) and self.swap is not None and not self.swap.restarts


def play(project: Project, people: People, users: int, arrive: Callable[[int], None]) -> FirstAct:
    """Climb the ladder, by hand first and then by `serinus promote`; then swap. `arrive` waits for the gateway."""
    act, canary = FirstAct(), project.names.canary
    first = LADDER[0]
    say(f"  $ pulumi config set serinus:weight {first} && pulumi up", markup=False)
    with people.asking() as load, step(f"pulumi up: weight {first} %, by hand"):
        seconds = project.move(first).seconds
        arrive(first)
    act.aside += load.answers
    act.steps.append(observe(first, people.ask(users, f"at {first} %"), canary, seconds))
    with people.asking() as load:
        act.refusal = _try_unsafe_jump(project, first)
    act.aside += load.answers
    for weight in LADDER[1:]:
        say(f"  $ serinus promote demo --until {weight}", markup=False)
        with people.asking() as load, step(f"the agent's verdict at {act.steps[-1].weight} %, then {weight} %"):
            told = project.promote("--until", str(weight))
            arrive(weight)
        act.aside += load.answers
        for one in told:
            quote(one.sentence)
        act.steps.append(observe(weight, people.ask(users, f"at {weight} %"), canary, up_seconds(told)))
    act.swap = _swap(project, people, users, act)
    return act


def _try_unsafe_jump(project: Project, back_to: int) -> list[str]:
    """Ask for 80 where 20 is the next rung; the lines of the refusal, none where it went through."""
    with step(f"an unsafe jump: weight {_JUMP}, in a preview"):
        require(project.stack.set("weight", str(_JUMP)), f"setting the weight to {_JUMP}")
        tried = project.stack.preview()
        require(project.stack.set("weight", str(back_to)), "taking the jump back")
    if tried.ok:
        return []
    refusal = tried.lines_about("may not rise")
    for line in refusal[:1]:
        quote(line, "yellow")
    if any("ValidatingAdmissionPolicy" in line for line in refusal):
        quote("The API server refuses it too.", "yellow")
    return refusal


def _swap(project: Project, people: People, users: int, act: FirstAct) -> Swap:
    say("  $ serinus promote demo --finish", markup=False)
    before = _pods(project)
    with people.asking() as load, step("the swap: the canary becomes the stable release"):
        told = project.promote("--finish")
    act.aside += load.answers
    answers = people.ask(max(users // 5, 1), "after the swap")
    quote(told[-1].sentence)
    after = _pods(project)
    wrong = sum(not of(project.names.canary, answer) for answer in answers)
    return Swap(round(up_seconds(told), 1), len(before - after), len(answers), wrong)


def _pods(project: Project) -> set[str]:
    """Each pod of the service's releases by its uid, with how often its container was started again."""
    selected = ("-l", f"serinus.dev/service={project.names.service}", "-o", _PODS)
    return set(
        kubectl(project.names.context, "-n", NAMESPACE, "get", "pods", *selected, what="listing the pods").split("\n")
    ) - {""}
