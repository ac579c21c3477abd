"""How the policy pack answers the tables of changes, as the engine asks it; `parity_python` is the reference."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serinus.rollout.rules import policy_of
from serinus.rollout.succession import Stable
from tests.parity_cases import GENERATION, SPEC, Parity, moved_override
from tests.policies.api_server import Documents, api_server
from tests.policies.pack import URN, Pack, fake_pulumi, ingress, labelled, running_pack
from tests.swap_cases import Swap, noted

STEP_POLICIES = {"weight-ladder", "bake-time", "verdict-required", "approval-required", "no-rise-while-held"}


def pack_codes(case: Parity) -> set[str]:
    """Which of the pack's rules must refuse a case: those that say its codes."""
    return {policy_of(code) for code in case.codes if code != "override-ended"}


def pack_answers(cases: Iterable[Parity], folder: Path) -> Iterator[tuple[Parity, set[str]]]:
    """Yield what the running pack's rules of a step say of each case. `folder` is empty."""
    with api_server() as documents, _pack(documents, folder) as pack:
        for number, case in enumerate(cases):
            now = datetime.now(UTC)
            spec = SPEC | {"override": moved_override(case, now)} if case.override else SPEC
            documents.serve(_canary(case.old), release=_release(spec, case.document(now, GENERATION)))
            found = pack.analyze(_canary(case.new), f"{URN}-{number}")
            yield case, {one.policyName for one in found} & STEP_POLICIES


def pack_answers_to_swaps(cases: Iterable[Swap], folder: Path) -> Iterator[tuple[Swap, bool]]:
    """Yield for each change of the stable Ingress whether the running pack refuses it. `folder` is empty."""
    with api_server() as documents, _pack(documents, folder) as pack:
        for number, case in enumerate(cases):
            now = datetime.now(UTC)
            documents.serve(_stable(case.old), release=_release(case.declared(now), case.document(now, GENERATION)))
            found = pack.analyze(_stable(case.new), f"{URN}-{number}")
            yield case, "release-immutable-while-live" in {one.policyName for one in found}


@contextmanager
def _pack(documents: Documents, folder: Path) -> Iterator[Pack]:
    # What the cluster says is enough: the pack must not ask the engine for its checkpoint.
    fake_pulumi(folder, {}, error="nobody asked for this")
    with running_pack(folder) as pack:
        pack.provider = {"kubeconfig": str(documents.kubeconfig(folder)), "context": "here"}
        yield pack
    assert pack.exports() == 0


def _release(spec: Mapping[str, Any], status: Mapping[str, Any] | None) -> dict[str, Any]:
    metadata = {"name": "chat", "namespace": "serinus", "generation": GENERATION}
    whole = {"service": "chat", "host": "chat.example.com", **spec}
    return {"metadata": metadata, "spec": whole} | ({} if status is None else {"status": status})


def _canary(annotations: Mapping[str, str]) -> dict[str, Any]:
    return labelled(ingress(None), annotations)


def _stable(stable: Stable) -> dict[str, Any]:
    made = ingress(None)
    made["spec"]["rules"] = [
        rule for backend in stable.backends for rule in ingress(None, backend=backend)["spec"]["rules"]
    ]
    return labelled(made, noted(stable), "chat-stable")
