"""How Python and the policy pack answer the table of `parity_cases`; the API server does in `cluster.guarded`."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from serinus.rollout.canary_release import LADDER_NOTE, Spec
from serinus.rollout.hold import Override, waive
from serinus.rollout.share import share
from serinus.rollout.status import read_status
from serinus.rollout.step import check_step
from serinus.rollout.succession import check_swap
from tests.parity_cases import GENERATION, SPEC, Parity, moved_override
from tests.policies.pack import checkpoint, fake_pulumi, ingress, running_pack, state
from tests.rollout.step_cases import NOW
from tests.swap_cases import Swap

_NOW = datetime.fromisoformat(NOW)
_DECLARED = Spec.model_validate({"service": "chat", "host": "chat.example.com", **SPEC}).declared(GENERATION)
_LADDER = str([rung["weight"] for rung in SPEC["ladder"]])


def python_codes(case: Parity) -> list[str]:
    """What the rules say, as every reader in Python asks them."""
    status = read_status(case.document(_NOW, GENERATION))
    found = check_step(_DECLARED, status, share(case.old, uncounted=0), share(case.new), _NOW)
    override = moved_override(case, _NOW)
    remaining, _ = waive(found, Override.model_validate(override) if override else None, _NOW)
    return [violation.code for violation in remaining]


def python_codes_of_a_swap(case: Swap) -> list[str]:
    """What the rules say of a change of the stable Ingress."""
    spec = Spec.model_validate({"service": "chat", "host": "chat.example.com", **case.declared(_NOW)})
    status = read_status(case.document(_NOW, GENERATION))
    found = check_swap(spec.declared(GENERATION), status, case.old, case.new, _NOW)
    return [violation.code for violation in waive(found, spec.override, _NOW).remaining]


def pack_answers(cases: Sequence[Parity], folder: Path) -> Iterator[tuple[Parity, bool]]:
    """Yield each case that the pack can know, and whether the running pack refuses it. `folder` is empty."""
    known = sorted((case for case in cases if case.pack), key=_start)
    # The checkpoint is read once a run, so the cases of one start share a pack.
    for number, (_, group) in enumerate(groupby(known, key=_start)):
        started = list(group)
        bin_ = folder / str(number)
        bin_.mkdir()
        fake_pulumi(bin_, checkpoint(state(_ingress(started[0].old))))
        with running_pack(bin_) as pack:
            for case in started:
                found = pack.analyze(_ingress(case.new))
                yield case, any(one.policyName == "weight-ladder" for one in found)


def _start(case: Parity) -> list[tuple[str, str]]:
    return sorted(case.old.items())


def _ingress(annotations: dict[str, str]) -> dict[str, Any]:
    made = ingress(None)
    made["metadata"]["annotations"] = annotations | {LADDER_NOTE: _LADDER}
    return made
