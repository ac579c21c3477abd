"""What a model service must have so that no request meets a pod that can't answer it."""

import pytest
from pulumi_policy.proxy import UNKNOWN_NUMBER_VALUE

from policies.rules.probes_and_grace import RULE
from tests.policies.direct import refusals
from tests.policies.model_pod import DEPLOYMENT, URN, container, deployment


def ask(props: dict[str, object], **config: object) -> list[str]:
    return refusals(RULE, DEPLOYMENT, props, URN, config)


def stopping(pre_stop: object) -> dict[str, object]:
    return container(lifecycle={"preStop": pre_stop})


def test_a_pod_with_probes_preStop_and_grace_passes() -> None:  # noqa: N802 - the field's name
    assert ask(deployment()) == []


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
@pytest.mark.parametrize("written", [None, {}, {"tcpSocket": {"port": "http"}}, {"periodSeconds": 5}])
def test_each_probe_must_ask_the_service_itself(probe: str, written: object) -> None:
    (message,) = ask(deployment(container(**{probe: written})))
    assert probe in message


@pytest.mark.parametrize("way", [{"grpc": {"port": 3000}}, {"exec": {"command": ["true"]}}])
def test_a_probe_may_ask_in_any_way_that_gets_an_answer(way: dict[str, object]) -> None:
    assert ask(deployment(container(readinessProbe=way))) == []


@pytest.mark.parametrize("pre_stop", [None, {}, {"sleep": {"seconds": 4}}, {"exec": {"command": ["sleep", "9"]}}])
def test_a_pod_that_stops_before_gateways_know_is_refused(pre_stop: object) -> None:
    assert any("before it stops" in message for message in ask(deployment(stopping(pre_stop))))


def test_answers_under_way_need_time_after_the_pre_stop() -> None:
    (message,) = ask(deployment(terminationGracePeriodSeconds=9))
    assert "At least 5 s must remain" in message
    assert ask(deployment(terminationGracePeriodSeconds=10)) == []


def test_without_a_grace_period_kubernetes_default_of_30_seconds_counts() -> None:
    assert ask(deployment(terminationGracePeriodSeconds=None), drainSeconds=25) == []
    assert ask(deployment(terminationGracePeriodSeconds=None), drainSeconds=26)


def test_both_times_are_configurable() -> None:
    assert ask(deployment(stopping({"sleep": {"seconds": 5}})), preStopSeconds=10)
    assert ask(deployment(), drainSeconds=60)


def test_pods_that_serve_no_model_are_left_alone() -> None:
    assert ask(deployment({"name": "agent", "image": "agent"}, labels={})) == []


def test_a_grace_that_is_not_known_yet_is_refused() -> None:
    (message,) = ask(deployment(terminationGracePeriodSeconds=UNKNOWN_NUMBER_VALUE))
    assert "not known in a preview" in message
