from datetime import timedelta

import pytest
from pydantic import ValidationError

from serinus.rollout.gateway_series import ERRORS, SLOW
from serinus.rollout.objectives import Objectives

BLIND = timedelta(seconds=30)


def test_without_a_word_errors_alone_are_judged() -> None:
    charter = Objectives().charter(BLIND)
    assert list(charter.objectives) == [ERRORS]
    assert Objectives().slow_seconds is None


def test_slow_answers_are_judged_where_seconds_are_given() -> None:
    asked = Objectives.model_validate({"slow": {"seconds": 2, "limit": 0.1}})
    assert asked.slow_seconds == 2.0
    assert asked.charter(BLIND).objectives[SLOW].limit == 0.1


@pytest.mark.parametrize(
    "wrong", [{"errors": {"floor": 0.2, "limit": 0.1}}, {"slow": {}}, {"errors": {"tolerance": 0.5}}, {"fast": {}}]
)
def test_what_the_judge_can_not_use_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Objectives.model_validate(wrong)
