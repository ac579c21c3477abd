"""The ladders with names."""

import pytest
import yaml
from pydantic import TypeAdapter

from local.places import ROOT
from serinus.rollout.canary_release import Rungs
from serinus.rollout.profile import PROFILES, named

RUNGS: TypeAdapter[Rungs] = TypeAdapter(Rungs)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_a_ladder(name: str) -> None:
    rungs = RUNGS.validate_python(named(name))
    assert rungs[-1].weight == 100


def test_the_default_is_what_the_project_declares() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]["ladder"]["default"]
    assert RUNGS.validate_python(declared) == RUNGS.validate_python(named("default"))


def test_a_list_may_be_written_as_json() -> None:
    assert named('[{"weight": 100}]') == [{"weight": 100}]


@pytest.mark.parametrize("written", ["slow", [{"weight": 100}], None, 5])
def test_what_is_no_profile_is_left_to_the_check_of_a_ladder(written: object) -> None:
    assert named(written) == written
