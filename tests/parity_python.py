"""How Python answers both tables of changes. It stands apart from the other readers, which bring a server each."""

from datetime import datetime

from serinus.rollout.canary_release import Spec
from serinus.rollout.hold import Override, waive
from serinus.rollout.share import share
from serinus.rollout.status import read_status
from serinus.rollout.step import check_step
from serinus.rollout.succession import check_swap
from tests.parity_cases import GENERATION, SPEC, Parity, moved_override
from tests.rollout.step_cases import NOW
from tests.swap_cases import Swap

_NOW = datetime.fromisoformat(NOW)
_DECLARED = Spec.model_validate({"service": "chat", "host": "chat.example.com", **SPEC}).declared(GENERATION)


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
