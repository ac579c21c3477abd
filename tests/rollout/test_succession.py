"""Which release may become the stable one: the table of swaps, and what a service without a guard is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.canary_release import Spec
from serinus.rollout.rules import SWAP_RULES, SWAP_STATUS_RULES
from serinus.rollout.status import read_status
from serinus.rollout.succession import Stable, backend_of, check_swap, check_unwatched_swap
from tests.parity_cases import GENERATION
from tests.parity_python import python_codes_of_a_swap
from tests.rollout.test_step import now
from tests.swap_cases import SWAPS, V1, V2, V2_AFTER_V1, V9, Swap

names = st.sampled_from(["chat-v0", "chat-v1", "chat-v2", "chat-v9"])
ingresses = st.builds(
    Stable,
    st.lists(names, min_size=1, max_size=2, unique=True).map(tuple),
    st.one_of(st.just(""), names),
)


@pytest.mark.parametrize("case", SWAPS, ids=lambda case: case.name)
def test_the_rules_say_of_each_swap(case: Swap) -> None:
    assert python_codes_of_a_swap(case) == case.codes


def test_every_rule_of_a_swap_has_a_case_that_it_alone_refuses() -> None:
    alone = {case.codes[0] for case in SWAPS if len(case.codes) == 1}
    # A status of another service is refused by the object's definition, before any rule looks at it.
    assert {rule.code for rule in (*SWAP_RULES, *SWAP_STATUS_RULES)} - {"other-service"} <= alone
    assert len({case.name for case in SWAPS}) == len(SWAPS)


def test_a_status_of_another_service_is_no_evidence() -> None:
    case = Swap("another service", [], status={"service": "chat-b"})
    assert python_codes_of_a_swap(case) == ["other-service"]


def test_refusals_carry_the_values() -> None:
    case = Swap("too early", [], new=V9, status={"weight": 5})
    declared = Spec.model_validate({"service": "chat", "host": "h", **case.declared(now)}).declared(GENERATION)
    found = check_swap(declared, read_status(case.document(now, GENERATION)), case.old, case.new, now)
    assert [one.sentence for one in found] == [
        "all users would move to chat-v9 at once, and it is not the canary",
        "only 5 % of the users are on chat-v9, and a swap moves the others at once",
    ]


def test_a_service_is_named_after_the_release_and_not_after_its_id() -> None:
    assert backend_of("chat", "gpu-v1-0f3a9c21") == "chat-gpu-v1"
    assert backend_of("chat", "") == ""
    assert backend_of("chat", "-0f3a9c21") == ""


@pytest.mark.parametrize(
    ("canary", "share", "old", "new", "codes"),
    [
        (("chat-v2",), 100, V1, V2, []),
        (("chat-v2",), 100, V1, V2_AFTER_V1, []),
        (("chat-v2",), 99, V1, V2, ["swap-too-early"]),
        (("chat-v2",), 100, V1, V9, ["untested-stable"]),
        (("chat-v2", "chat-v9"), 100, V1, V2, ["untested-stable"]),
        ((), 0, V1, V9, ["untested-stable", "swap-too-early"]),
        (("chat-v1",), 0, V1, V1, []),
        (("chat-v2",), 0, V2_AFTER_V1, V1, []),
        (("chat-v2",), 0, V1, Stable(("chat-v1",), "chat-v9"), ["previous-never-stable"]),
    ],
)
def test_a_swap_that_nobody_watches_goes_by_what_is_routed(
    canary: tuple[str, ...], share: int, old: Stable, new: Stable, codes: list[str]
) -> None:
    assert [one.code for one in check_unwatched_swap(canary, share, old, new)] == codes


@given(st.lists(ingresses, min_size=2, max_size=6), st.integers(0, 100))
def test_nobody_reaches_a_release_that_was_neither_stable_nor_at_the_top(walk: list[Stable], share: int) -> None:
    """However one changes backends and notes, what users end up on was once the canary at 100 %, or stable."""
    now_, been = walk[0], {*walk[0].backends, walk[0].previous}
    for wanted in walk[1:]:
        if not check_unwatched_swap(("chat-v2",), share, now_, wanted):
            now_ = wanted
            if share == 100:
                been.add("chat-v2")
            assert set(now_.backends) <= been
