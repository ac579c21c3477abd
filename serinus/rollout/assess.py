"""From what the engine and the cluster say to a plan: the step, what the rules say to it, the drift, the decision."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from serinus.rollout import share
from serinus.rollout.canary_release import Spec, StoredRung, ladder_of
from serinus.rollout.complaints import complaints
from serinus.rollout.hold import waive
from serinus.rollout.ladder import Ladder, check_jump
from serinus.rollout.outlook import Expected, outlook
from serinus.rollout.plan import Decision, Drift, Evidence, Live, Plan, Preview, Refusal, Route, Step
from serinus.rollout.profile import named
from serinus.rollout.status import Status, read_status
from serinus.rollout.step import check_step
from serinus.rollout.violation import Violation

AGENT = "serinus-agent"
_RUNGS: TypeAdapter[tuple[StoredRung, ...]] = TypeAdapter(tuple[StoredRung, ...])
_NOTHING = Route(annotations={}, backends=())


@dataclass(frozen=True, slots=True)
class _Rollout:
    """The CanaryRelease of the cluster, read."""

    spec: Spec
    generation: int
    status: Status | Violation


class _Said(NamedTuple):
    """What is against a change, and what keeps it from being judged."""

    refusals: list[Refusal]
    unknowns: list[str]
    waived: list[Refusal]


def assess(stack: str, preview: Preview, live: Live | str, expected: Expected, now: datetime) -> Plan:
    """Judge a change.

    `live` is a sentence where the cluster can't be read: then a rise can't be judged, and a decrease still goes.
    `now` has a time zone.
    """
    service = preview.config.get("service", "")
    step = _step(f"{service}-canary", preview, live)
    drift = tuple(_drift(preview, live)) if isinstance(live, Live) else ()
    rollout = _rollout(live) if isinstance(live, Live) else live
    ladder = rollout.spec.declared(0).ladder if isinstance(rollout, _Rollout) else _ladder(preview)
    status = rollout.status if isinstance(rollout, _Rollout) else rollout
    said = _said(preview, step, rollout, ladder, drift, now)
    decision = Decision.REFUSED if said.refusals else Decision.UNKNOWN if said.unknowns else Decision.GO
    seen = status if isinstance(status, Status) else None
    foreseen = outlook(_stated(expected, rollout), seen, step, ladder)
    return Plan(
        stack=stack,
        service=service,
        at=now,
        decision=decision,
        exit_code=decision.exit_code,
        step=step,
        refusals=tuple(said.refusals),
        unknowns=tuple(said.unknowns),
        waived=tuple(said.waived),
        evidence=_evidence(seen, ladder, now) if seen else None,
        no_evidence="" if seen else status.sentence if isinstance(status, Violation) else str(status),
        feasibility=None if isinstance(foreseen, str) else foreseen,
        no_feasibility=foreseen if isinstance(foreseen, str) else "",
        drift=drift,
        changes=preview.changes,
        unchanged=preview.unchanged,
    )


def _stated(expected: Expected, rollout: _Rollout | str) -> Expected:
    """What somebody says on the command line counts more than what the stack expects."""
    stated = rollout.spec.expected if isinstance(rollout, _Rollout) else None
    if stated is None or expected.per_second is not None:
        return expected
    return Expected(stated.requests_per_second, expected.usual or stated.usual, stated.smallest_regression)


def _said(
    preview: Preview,
    step: Step | None,
    rollout: _Rollout | str,
    ladder: Ladder | str,
    drift: Iterable[Drift],
    now: datetime,
) -> _Said:
    refusals, unknowns, waived = list(preview.refusals), list(preview.errors), list[Refusal]()
    if step is None:
        if not refusals and not unknowns:
            unknowns.append("the preview ended before it reached the canary's Ingress")
        return _Said(refusals, unknowns, [])
    if not step.rises:
        return _Said(refusals, unknowns, [])
    found: list[Violation] = []
    if isinstance(rollout, _Rollout):
        declared = rollout.spec.declared(rollout.generation)
        refused = check_step(declared, rollout.status, step.old, step.new, now)
        found, aside = waive(refused, rollout.spec.override, now)
        waived += [_refusal(one, f"override of {rollout.spec.override}") for one in aside]
    elif isinstance(ladder, Ladder):
        found = check_jump(ladder, step.old, step.new)
        found += [_cut(row) for row in drift if row.cause == _CUT]
        # Nobody can have seen the canary below the first rung; from there on somebody must have.
        if step.old > 0 or step.seen == "checkpoint":
            unknowns.append(f"nobody has judged the canary: {rollout}")
    else:
        unknowns.append(ladder)
    # The pack applies some of the same rules; once is enough.
    known = " ".join(one.sentence for one in refusals)
    refusals += [_refusal(one, "rules") for one in found if f"({one.code})" not in known]
    return _Said(refusals, unknowns, waived)


def _refusal(found: Violation, by: str) -> Refusal:
    return Refusal(by=by, rule=found.code, sentence=found.sentence, remedy=found.remedy)


def _step(ingress: str, preview: Preview, live: Live | str) -> Step | None:
    wanted = preview.wanted.get(ingress)
    if wanted is None:
        return None
    there = preview.checkpoint if isinstance(live, str) else live.routes
    now = there.get(ingress, _NOTHING)
    # Another release behind the Ingress starts from 0: what is served there was earned by the one before.
    old = share.share(now.annotations, uncounted=0) if now.backends == wanted.backends else 0
    return Step(
        old=old,
        new=share.share(wanted.annotations),
        canary=", ".join(wanted.backends),
        seen="checkpoint" if isinstance(live, str) else "live",
    )


def _rollout(live: Live) -> _Rollout | str:
    if live.release is None:
        return live.no_release
    try:
        spec = Spec.model_validate(live.release.get("spec"))
    except ValidationError as error:
        return f"the CanaryRelease can't be read: {'; '.join(complaints(Spec, error))}"
    generation = live.release.get("metadata", {}).get("generation", 0)
    return _Rollout(spec, generation, read_status(live.release.get("status")))


def _ladder(preview: Preview) -> Ladder | str:
    if "ladder" not in preview.config:
        return "the settings have no ladder"
    try:
        return ladder_of(_RUNGS.validate_python(named(preview.config["ladder"])))
    except (ValueError, TypeError) as error:
        return f"the setting ladder can't be read: {error}"


def _evidence(status: Status, ladder: Ladder | str, now: datetime) -> Evidence:
    rung = ladder.last_rung(status.weight) if isinstance(ladder, Ladder) else None
    return Evidence(
        verdict=status.verdict,
        because=status.because,
        age_seconds=(now - status.observed_at).total_seconds(),
        canary=status.canary_counts,
        stable=status.stable_counts,
        baked_seconds=status.baked_seconds,
        bake_seconds=rung.bake_seconds if rung else 0,
        allowed_weight=status.allowed_weight,
        held=status.hold.reason if status.hold else "",
    )


_CUT = "cut by the agent"
_UNKNOWN_UPDATE = "an update that the checkpoint does not know"


def _cut(row: Drift) -> Violation:
    return Violation(
        "held",
        f"the agent has cut the canary: {row.what} of {row.ingress} is {row.live}",
        "Look at the evidence, then run `serinus resume` with a name and a reason.",
    )


def _drift(preview: Preview, live: Live) -> Iterator[Drift]:
    for name, left in sorted(preview.checkpoint.items()):
        wanted, there = preview.wanted.get(name, _NOTHING), live.routes.get(name)
        if there is None:
            yield Drift(
                ingress=name, what="Ingress", settings="there", checkpoint="there", live="gone", cause="deleted"
            )
            continue
        keys = {key for route in (wanted, left, there) for key in route.annotations if key.startswith(share.PREFIX)}
        for key in sorted(keys):
            told = [route.annotations.get(key, "none") for route in (wanted, left, there)]
            if told[1] != told[2]:
                cause = _cause(there.managers.get(key, ()))
                yield _row(name, key.removeprefix(f"{share.PREFIX}/"), told, cause)
        if left.backends != there.backends:
            told = [", ".join(route.backends) or "none" for route in (wanted, left, there)]
            yield _row(name, "backend", told, _cause(there.managers.get("", ())))


def _row(ingress: str, what: str, told: list[str], cause: str) -> Drift:
    settings, checkpoint, live = told
    return Drift(ingress=ingress, what=what, settings=settings, checkpoint=checkpoint, live=live, cause=cause)


def _cause(managers: Iterable[str]) -> str:
    others = [manager for manager in managers if not manager.startswith("pulumi-kubernetes")]
    if AGENT in others:
        return _CUT
    if any(manager.startswith("kubectl") for manager in others):
        return "by hand, with kubectl"
    return f"by {', '.join(others)}" if others else _UNKNOWN_UPDATE
