"""The rules as Python answers them for annotations, and what can be seen of their CEL without an API server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.admission import Guarded, Policy, policies
from serinus.rollout.patterns import bucket_pattern
from serinus.rollout.rules import CAP_RULES, LADDER_RULES, STATUS_RULES, SWAP_RULES, SWAP_STATUS_RULES
from serinus.rollout.share import LONGEST_PATTERN, share
from tests.parity_cases import PARITY, Parity, annotations, buckets
from tests.parity_python import python_codes

guarded = Guarded("chat", "serinus", "chat.example.com")


def test_the_table_is_large_and_its_names_tell_the_cases_apart() -> None:
    assert len(PARITY) >= 60
    assert len({case.name for case in PARITY}) == len(PARITY)


@pytest.mark.parametrize("case", PARITY, ids=lambda case: case.name)
def test_python_says_of_each_change(case: Parity) -> None:
    assert python_codes(case) == case.codes


def with_release() -> list[Policy]:
    """The policies that read the CanaryRelease: that of the steps and that of the swaps."""
    return [policy for policy in policies(guarded) if policy.with_release]


def test_every_rule_of_the_table_is_a_validation_in_the_same_order() -> None:
    steps, _ = with_release()
    codes = [one.code for one in steps.validations]
    rules = [rule.code for rule in (*LADDER_RULES, *STATUS_RULES, *CAP_RULES)]
    assert [code for code in codes if code in rules] == rules
    assert set(codes) - set(rules) == {"other-backend", "status-missing"}


def test_every_rule_of_a_swap_is_a_validation_in_the_same_order() -> None:
    _, swaps = with_release()
    codes = [one.code for one in swaps.validations]
    rules = [rule.code for rule in (*SWAP_RULES, *SWAP_STATUS_RULES)]
    assert [code for code in codes if code in rules] == rules
    assert set(codes) - set(rules) == {"status-missing", "previous-never-stable"}
    assert all(one.expression.startswith("!variables.moves || ") for one in swaps.validations[:-1])


def test_no_validation_can_refuse_what_does_not_rise() -> None:
    steps, _ = with_release()
    assert all(one.expression.startswith("!variables.rises || ") for one in steps.validations)


def test_only_waivable_rules_look_at_the_override() -> None:
    steps, _ = with_release()
    overridden = {one.code for one in steps.validations if "variables.overridden" in one.expression}
    assert overridden == {rule.code for rule in (*LADDER_RULES, *STATUS_RULES, *CAP_RULES) if rule.waivable}


def test_the_guards_of_two_services_share_no_name() -> None:
    names = [
        policy.name
        for service, namespace in (("a-b", "c"), ("a", "b-c"), ("c", "a-b"))
        for policy in policies(Guarded(service, namespace, "h"))
    ]
    assert len(set(names)) == len(names)


def test_break_glass_is_there_only_where_a_group_is_named() -> None:
    conditions = [one.name for policy in policies(guarded) for one in policy.conditions]
    assert "not-break-glass" not in conditions
    for policy in policies(Guarded("chat", "serinus", "h", "ops:break-glass")):
        opened = "not-break-glass" in [one.name for one in policy.conditions]
        assert opened == (policy.name.split(".")[0] in ("steps", "swaps", "ingresses", "httproutes", "objects"))


@given(st.integers(0, 100), st.integers(0, 100), st.lists(st.sampled_from(["vip", "beta", "x-1"]), unique=True))
def test_buckets_count_one_by_one_tagged_or_not(low: int, high: int, tags: list[str]) -> None:
    pattern = bucket_pattern(range(min(low, high), max(low, high)), tags)
    assert len(pattern) < LONGEST_PATTERN
    assert share(annotations(0, pattern)) == abs(high - low)


@given(st.dictionaries(st.sampled_from(sorted(annotations(5, "x", by_cookie="c", weight_total="1"))), st.text()))
def test_what_is_asked_for_never_counts_less_than_what_is_there(written: dict[str, str]) -> None:
    assert 0 <= share(written, uncounted=0) <= share(written) <= 100


def test_weight_and_buckets_add_up_to_everything_at_most() -> None:
    assert share(buckets(80) | annotations(50)) == 100
