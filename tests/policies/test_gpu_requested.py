"""When a model service counts as asking for its GPU."""

import pytest

from policies.rules.gpu_requested import RULE
from tests.policies.direct import refusals
from tests.policies.model_pod import DEPLOYMENT, URN, container, deployment


def limits(asked: object, resource: str = "nvidia.com/gpu") -> dict[str, object]:
    return deployment(container(resources={"limits": {resource: asked}}))


@pytest.mark.parametrize("asked", ["1", "8", 2, 2.0])
def test_a_whole_number_of_gpus_passes(asked: object) -> None:
    assert refusals(RULE, DEPLOYMENT, limits(asked), URN) == []


@pytest.mark.parametrize("asked", ["0", "", "-1", "0.5", 0.5, "500m", None])
def test_anything_else_is_refused(asked: object) -> None:
    (message,) = refusals(RULE, DEPLOYMENT, limits(asked), URN)
    assert "of nvidia.com/gpu in its limits, not 1 or more" in message


@pytest.mark.parametrize("resources", [None, {}, {"requests": {"nvidia.com/gpu": "1"}}, {"limits": {"memory": "1Gi"}}])
def test_a_model_without_a_gpu_in_its_limits_is_refused(resources: object) -> None:
    assert len(refusals(RULE, DEPLOYMENT, deployment(container(resources=resources)), URN)) == 1


def test_the_kind_of_device_is_configurable() -> None:
    config = {"resource": "amd.com/gpu"}
    assert refusals(RULE, DEPLOYMENT, limits("1", "amd.com/gpu"), URN, config) == []
    assert refusals(RULE, DEPLOYMENT, limits("1"), URN, config)


def test_pods_that_serve_no_model_need_no_gpu() -> None:
    other = deployment(container(resources={}), labels={"app.kubernetes.io/name": "agent"})
    assert refusals(RULE, DEPLOYMENT, other, URN) == []
