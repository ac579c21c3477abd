"""Which images a rule that wants digests lets pass."""

from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from policies.rules.image_pinned_by_digest import RULE
from tests.policies.direct import refusals
from tests.policies.model_pod import DEPLOYMENT, DIGEST, URN, container, deployment, template


def ask(props: dict[str, Any], type_: str = DEPLOYMENT, **config: object) -> list[str]:
    return refusals(RULE, type_, props, URN, config)


@pytest.mark.parametrize("name", ["serving", "registry.example.com:5000/team/serving", "serving:1.2"])
def test_an_image_with_a_digest_passes(name: str) -> None:
    assert ask(deployment(container(image=f"{name}@{DIGEST}"))) == []


@pytest.mark.parametrize(
    "image", ["serving", "serving:latest", "serving@sha256:1234", f"serving@{DIGEST}0", f"@{DIGEST}", "", 5, None]
)
def test_an_image_without_a_whole_digest_is_refused_by_name(image: object) -> None:
    (message,) = ask(deployment(container(image=image)))
    assert "'service'" in message
    assert repr(image) in message


@pytest.mark.parametrize("kind", ["initContainers", "ephemeralContainers"])
def test_every_container_of_a_pod_counts(kind: str) -> None:
    assert len(ask(deployment(container(), **{kind: [{"name": "other", "image": "other:1"}]}))) == 1


@pytest.mark.parametrize(
    ("type_", "props"),
    [
        ("kubernetes:core/v1:Pod", template(container(image="serving:1"))),
        ("kubernetes:apps/v1:StatefulSet", deployment(container(image="serving:1"))),
        ("kubernetes:apps/v1:DeploymentPatch", deployment(container(image="serving:1"))),
        ("kubernetes:batch/v1:Job", deployment(container(image="serving:1"))),
        ("kubernetes:batch/v1:CronJob", {"spec": {"jobTemplate": deployment(container(image="serving:1"))}}),
    ],
)
def test_every_kind_of_object_that_makes_pods_counts(type_: str, props: dict[str, Any]) -> None:
    assert len(ask(props, type_)) == 1


def test_objects_without_pods_are_left_alone() -> None:
    assert ask(deployment(container(image="serving:1")), "kubernetes:core/v1:ConfigMap") == []
    assert ask(deployment(container(image="serving:1")), "serinus:components:ModelService") == []


def test_names_may_be_exempted_by_their_beginning() -> None:
    local = deployment(container(image="localhost/serving:local"))
    assert ask(local)
    assert ask(local, exempt=["localhost/"]) == []
    assert ask(deployment(container(image="example.com/localhost/serving:1")), exempt=["localhost/"])


def test_an_image_that_is_not_known_yet_is_refused() -> None:
    (message,) = ask(deployment(container(image=UNKNOWN_STRING_VALUE)))
    assert "not known in a preview" in message
