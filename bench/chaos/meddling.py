"""Others who change what is being cut: an update under way, pods that go, an Ingress that is deleted and comes back."""

import time

from bench.chaos.stage import Scenario, Stage
from bench.load import Load
from local import gateway, kubernetes
from local.alongside import alongside
from tests.cluster.agents import WEIGHT_ON_TRIAL

SECONDS = 120.0


def pulumi_up_meanwhile(stage: Stage, load: Load) -> None:
    """An `up` that raises the weight, and a demand at some moment of it. Whichever comes last, nobody rises."""
    assert stage.project.stack.set("weight", str(WEIGHT_ON_TRIAL)).ok
    with alongside(lambda _: stage.project.stack.up()):
        time.sleep(stage.chance.uniform(0.0, 6.0))
        stage.demand()
    stage.watched.wait_for_the_cut()
    # Who declares the number brings it down to what is; that is never refused.
    stage.project.up_at(0)


def pods_of_the_canary_gone(stage: Stage, load: Load) -> None:
    """The gateway soon sends everybody to the stable release. No health: the canary may not rise, and can be cut."""
    deployment = "deployment/chat-echo-drill"
    of_the_stack = ("-n", stage.project.name)
    kubernetes.kubectl(*of_the_stack, "scale", deployment, "--replicas=0")
    try:
        gateway.wait_for_weight(stage.project.name, "chat", 0, SECONDS)
        time.sleep(10.0)
        status = stage.watched.status
        assert status["verdict"] != "pass", status
        assert status["allowedWeight"] <= WEIGHT_ON_TRIAL, status
        stage.demand()
    finally:
        kubernetes.kubectl(*of_the_stack, "scale", deployment, "--replicas=1")
        kubernetes.kubectl(*of_the_stack, "rollout", "status", deployment, "--timeout=100s", timeout=110)


def ingress_deleted_and_brought_back(stage: Stage, load: Load) -> None:
    """Somebody deletes the canary's Ingress, and later applies what it was: with the weight of before."""
    watched = stage.watched
    before = watched.api.get(watched.ingress_path).document
    deleted = watched.rescuer.delete(watched.ingress_path)
    assert deleted.ok, deleted.message
    stage.demand()
    watched.until(lambda: "hold" in watched.status)
    kept = {key: before["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
    again = {key: value for key, value in before.items() if key != "status"} | {"metadata": kept}
    born = watched.rescuer.post(watched.ingress_path.rpartition("/")[0], again)
    assert born.ok, born.message


SCENARIOS = (
    Scenario("pulumi up while it cuts", pulumi_up_meanwhile, at=0, times=3),
    Scenario("the canary's pods are gone", pods_of_the_canary_gone, breaks=True),
    Scenario("the canary's Ingress is deleted and brought back", ingress_deleted_and_brought_back),
)
