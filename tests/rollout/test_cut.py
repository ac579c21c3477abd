from typing import Any

import pytest

from serinus.rollout.cut import MANAGER, give_back, holds, ingress_cut, is_cut, owned
from serinus.rollout.patterns import NOBODY
from serinus.rollout.share import CANARY, HEADER, PATTERN, WEIGHT, cut, share

BY_WEIGHT = {CANARY: "true", WEIGHT: "20"}
BY_USER = {CANARY: "true", WEIGHT: "0", HEADER: "X-User-Bucket", PATTERN: "^[01][0-9]$"}


def entry(*keys: str, manager: str = MANAGER, operation: str = "Apply") -> dict[str, Any]:
    annotations = {f"f:{key}": {} for key in keys}
    return {"manager": manager, "operation": operation, "fieldsV1": {"f:metadata": {"f:annotations": annotations}}}


@pytest.mark.parametrize("annotations", [BY_WEIGHT, BY_USER, {CANARY: "true", WEIGHT: "many"}])
def test_a_cut_leaves_nothing_to_the_canary(annotations: dict[str, str]) -> None:
    assert not is_cut(annotations)
    after = annotations | cut(annotations)
    assert is_cut(after)
    assert share(after) == 0


def test_a_cut_is_what_the_stack_renders_for_zero() -> None:
    assert cut(BY_WEIGHT) == {WEIGHT: "0"}
    assert cut(BY_USER) == {WEIGHT: "0", PATTERN: NOBODY}
    assert ingress_cut("chat-canary", BY_WEIGHT)["metadata"] == {"name": "chat-canary", "annotations": {WEIGHT: "0"}}


CUT = BY_USER | {PATTERN: NOBODY}


@pytest.mark.parametrize(
    ("fields", "annotations", "expected"),
    [
        pytest.param([entry(WEIGHT, PATTERN)], CUT, True, id="owned"),
        pytest.param([entry(manager="pulumi"), entry(WEIGHT)], BY_WEIGHT | {WEIGHT: "0"}, True, id="by weight"),
        pytest.param([entry(WEIGHT)], CUT, False, id="the pattern is not owned"),
        pytest.param([entry(WEIGHT, PATTERN)], BY_USER, False, id="owned, but not a cut"),
        pytest.param([entry(WEIGHT, PATTERN, manager="pulumi")], CUT, False, id="another's"),
        pytest.param([entry(WEIGHT, PATTERN, operation="Update")], CUT, False, id="an update holds nothing"),
        pytest.param([], CUT, False, id="nobody's"),
    ],
)
def test_a_cut_holds_only_while_its_manager_owns_all_of_it(
    fields: list[dict[str, Any]], annotations: dict[str, str], expected: bool
) -> None:
    assert holds(fields, annotations) is expected


def test_giving_back_takes_out_one_entry_and_only_if_it_is_still_there() -> None:
    fields = [entry(WEIGHT, manager="pulumi"), entry(WEIGHT)]
    assert give_back(fields) == [
        {"op": "test", "path": "/metadata/managedFields/1/manager", "value": MANAGER},
        {"op": "remove", "path": "/metadata/managedFields/1"},
    ]
    assert give_back(fields[:1]) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([entry(WEIGHT, PATTERN)], True),
        ([entry(WEIGHT)], True),
        ([entry(PATTERN)], False),
        ([entry(WEIGHT, manager="pulumi")], False),
        ([entry(WEIGHT, operation="Update")], False),
        ([], False),
    ],
)
def test_a_weight_that_was_lowered_is_its_managers_until_it_is_given_back(
    fields: list[dict[str, Any]], expected: bool
) -> None:
    assert owned(fields) is expected
