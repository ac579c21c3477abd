"""The guard on a real API server: it answers as Python does, and there is no road around it."""

import copy
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from local import kubernetes
from serinus.rollout import agency, share
from serinus.rollout.admission import Guarded
from serinus.rollout.admission.policy import policy_name
from serinus.rollout.canary_release import CRD_NAME
from serinus.rollout.patterns import NOBODY
from tests.cluster.api import APPLY, Api
from tests.cluster.conftest import Leaving
from tests.cluster.guarded import (
    BREAK_GLASS,
    Place,
    apply,
    expected,
    guarded_place,
    pack_of_the_cluster,
    permission,
    refusal,
    serinus,
)
from tests.parity_cases import PARITY, Parity, annotations, buckets
from tests.parity_readers import STEP_POLICIES, pack_codes
from tests.policies.pack import URN, Pack
from tests.rollout.step_cases import HOLD
from tests.swap_cases import SWAPS, Swap

GUARDED = Guarded("chat", "weight-guard", "weight-guard.serinus.test", BREAK_GLASS)
ELSEWHERE = "weight-guard-elsewhere"
AGENT = Api(agency.USER)
DRY = "?dryRun=All"
JSON_PATCH = "application/json-patch+json"


def account(name: str) -> Api:
    return Api(f"system:serviceaccount:{GUARDED.namespace}:{name}")


@pytest.fixture(scope="module")
def place(leaving: Leaving) -> Iterator[Place]:
    with ExitStack() as stack:
        yield stack.enter_context(guarded_place(GUARDED))
        leaving.later(stack.pop_all().close)


@pytest.fixture
def http_routes(place: Place) -> Iterator[str]:
    """The path of the HTTPRoutes, with the least definition that there can be of them."""
    group = "gateway.networking.k8s.io"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"httproutes.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, the least that a test needs"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "HTTPRoute", "plural": "httproutes"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    path = f"/apis/{group}/v1/namespaces/{GUARDED.namespace}/httproutes"
    apply(definition)
    kubernetes.kubectl("wait", "--for=condition=Established", f"crd/httproutes.{group}")
    role = permission(GUARDED.namespace, "rescue-routes", {"kind": "Group", "name": BREAK_GLASS}, "httproutes")
    role[0]["rules"][0]["apiGroups"] = [group]
    apply(*role)
    try:
        yield path
    finally:
        kubernetes.kubectl("delete", "crd", f"httproutes.{group}", "--timeout=60s", timeout=70)


@pytest.fixture
def at_5(place: Place) -> Place:
    """The canary at 5 %, with a status that lets it rise to 20."""
    place.reset_release()
    place.set_annotations(annotations(5))
    place.passing_status()
    return place


@pytest.fixture(scope="module")
def elsewhere(place: Place, leaving: Leaving) -> Iterator[str]:
    """Another namespace of the same cluster."""
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}})
    yield ELSEWHERE
    gone = ("delete", "namespace", ELSEWHERE, "--ignore-not-found", "--timeout=60s")
    leaving.later(lambda: kubernetes.kubectl(*gone, timeout=70))


@pytest.fixture(scope="module")
def pack(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    with pack_of_the_cluster(tmp_path_factory.mktemp("bin")) as running:
        yield running


@pytest.mark.parametrize("case", PARITY, ids=lambda case: case.name)
def test_the_api_server_and_the_pack_say_of_each_change(place: Place, pack: Pack, case: Parity) -> None:
    assert place.answer(case) == expected(case)
    found = pack.analyze(place.ingress_document(case.new), f"{URN}-{PARITY.index(case)}")
    assert {one.policyName for one in found} & STEP_POLICIES == pack_codes(case)


@pytest.mark.parametrize("case", SWAPS, ids=lambda case: case.name)
def test_the_api_server_and_the_pack_say_of_each_swap(place: Place, pack: Pack, case: Swap) -> None:
    assert place.answer_to_a_swap(case) == expected(case)
    found = pack.analyze(place.stable_document(case.new), f"{URN}-swap-{SWAPS.index(case)}")
    assert ("release-immutable-while-live" in {one.policyName for one in found}) == bool(case.codes)


def test_a_stable_ingress_is_born_as_it_was_declared(place: Place) -> None:
    stable = f"{place.ingresses}/{GUARDED.stable_ingress}"
    gone = place.rescuer.delete(stable)
    assert gone.ok or gone.code == 404
    untested = place.ingress_document({}, name=GUARDED.stable_ingress, backend="chat-v9")
    assert refusal(place.admin.post(f"{place.ingresses}{DRY}", untested)) == "untested-stable"
    assert place.rescuer.post(f"{place.ingresses}{DRY}", untested).ok
    declared = place.ingress_document({}, name=GUARDED.stable_ingress, backend="chat-v1")
    assert place.admin.post(f"{place.ingresses}{DRY}", declared).ok


def test_all_users_can_not_be_moved_by_a_default_backend(place: Place) -> None:
    assert place.answer_to_a_swap(SWAPS[0]) == ""
    stable = f"{place.ingresses}/{GUARDED.stable_ingress}"
    live = place.admin.get(stable).document
    for default in ({"service": {"name": "chat-v9", "port": {"number": 80}}}, {"resource": {"kind": "X", "name": "x"}}):
        changed = {**live, "spec": {"ingressClassName": "none", "defaultBackend": default}}
        assert refusal(place.admin.put(f"{stable}{DRY}", changed)) == "untested-stable"


def test_a_refusal_says_what_is_wrong_and_what_to_do(at_5: Place) -> None:
    at_5.passing_status(allowedWeight=5)
    message = at_5.try_annotations(annotations(20)).message
    assert "from 5 to 20: the agent allows 5 now (above-allowed-weight). Read the reasons" in message
    at_5.passing_status(bakedSeconds=17, verdict="fail", because="E is 140")
    assert "the canary failed: E is 140 (verdict-failed)" in at_5.try_annotations(annotations(20)).message
    assert "skips the rung 20 (skipped-rung)" in at_5.try_annotations(annotations(50)).message
    assert "the next rung of [5, 20, 50, 100]" in at_5.try_annotations(annotations(50)).message


def test_a_reason_with_line_breaks_still_refuses(at_5: Place) -> None:
    at_5.passing_status(hold={**HOLD, "reason": "one\ntwo"})
    answer = at_5.try_annotations(annotations(20))
    assert answer.code == 422
    assert "refused by the rule held" in answer.message


# --- by any road ------------------------------------------------------------------------------------------------------


def test_every_way_to_write_an_ingress_is_guarded(at_5: Place) -> None:
    live = at_5.admin.get(at_5.ingress).document
    put = copy.deepcopy(live)
    put["metadata"]["annotations"] = annotations(50)
    applied = at_5.ingress_document(annotations(50))
    pointer = f"/metadata/annotations/{share.WEIGHT.replace('/', '~1')}"
    replaced: Any = [{"op": "replace", "path": pointer, "value": "50"}]
    manager = f"{at_5.ingress}{DRY}&fieldManager=someone&force=true"
    assert refusal(at_5.admin.put(f"{at_5.ingress}{DRY}", put)) == "skipped-rung"
    assert refusal(at_5.admin.patch(manager, applied, APPLY)) == "skipped-rung"
    assert refusal(at_5.admin.patch(f"{at_5.ingress}{DRY}", replaced, JSON_PATCH)) == "skipped-rung"
    assert at_5.admin.patch(manager, at_5.ingress_document(annotations(20)), APPLY).ok


def test_a_stale_status_allows_no_rise_however_the_ingress_hides_its_history(at_5: Place) -> None:
    at_5.passing_status(observedAt="2026-11-21T11:50:00Z")
    live = at_5.admin.get(at_5.ingress).document
    live["metadata"]["annotations"] = annotations(20)
    for history in (live["metadata"]["managedFields"], [], [{}]):
        live["metadata"]["managedFields"] = history
        assert refusal(at_5.admin.put(f"{at_5.ingress}{DRY}", live)) == "status-stale"
    old = {"manager": "x", "operation": "Update", "apiVersion": "networking.k8s.io/v1", "fieldsType": "FieldsV1"}
    live["metadata"]["managedFields"] = [{**old, "time": "2020-01-01T00:00:00Z", "fieldsV1": {}}]
    assert refusal(at_5.admin.put(f"{at_5.ingress}{DRY}", live)) == "status-stale"


def test_without_a_history_there_is_no_clock_and_no_rise(at_5: Place) -> None:
    live = at_5.admin.get(at_5.ingress).document
    live["metadata"]["managedFields"] = [{}]
    assert at_5.admin.put(at_5.ingress, live).ok
    answer = at_5.try_annotations(annotations(20))
    # Either the server notes this very change, with its time, or there is no time at all.
    assert answer.ok or refusal(answer) == "status-stale"
    at_5.passing_status(observedAt="2026-11-21T11:50:00Z")
    assert refusal(at_5.try_annotations(annotations(20))) == "status-stale"
    assert at_5.try_annotations(annotations(0)).ok


def test_a_decrease_is_always_allowed_by_whoever_may_write_the_ingress(place: Place) -> None:
    apply(*permission(GUARDED.namespace, "editor", {"kind": "User", "name": "bob"}, "ingresses"))
    place.set_annotations(annotations(50))
    for status in (None, {"weight": 50, "verdict": "fail", "allowedWeight": 0, "hold": HOLD}):
        if status is None:
            assert place.set_status(None).ok
        else:
            place.passing_status(**status)
        for lower in (annotations(49), annotations(7), annotations(0), buckets(20), {}):
            assert place.try_annotations(lower, by=Api("bob")).ok


def test_an_ingress_can_not_be_born_above_zero(place: Place) -> None:
    for born in (annotations(5), buckets(1), annotations(0, ".*"), annotations(0, by_cookie="canary")):
        document = place.ingress_document(born, name="another")
        assert refusal(place.admin.post(f"{place.ingresses}{DRY}", document)) == "born-above-zero"
    assert place.set_status(None).ok
    gone = place.rescuer.delete(place.ingress)
    assert gone.ok or gone.code == 404
    again = place.ingress_document(annotations(5))
    assert refusal(place.admin.post(f"{place.ingresses}{DRY}", again)) == "born-above-zero"
    assert place.admin.post(place.ingresses, place.ingress_document(annotations(0))).ok


def test_a_host_has_one_canary(at_5: Place, elsewhere: str) -> None:
    other = f"/apis/networking.k8s.io/v1/namespaces/{elsewhere}/ingresses"
    for ingresses, namespace in ((at_5.ingresses, GUARDED.namespace), (other, elsewhere)):
        second = at_5.ingress_document(annotations(0), name="second", namespace=namespace)
        answer = at_5.admin.post(f"{ingresses}{DRY}", second)
        assert refusal(answer) == "second-canary"
        assert f"{GUARDED.namespace}/chat-canary" in answer.message
        plain = at_5.ingress_document({}, name="plain", namespace=namespace)
        assert at_5.admin.post(ingresses, plain).ok, "an Ingress without a canary is nobody's business"
        on = at_5.admin.patch(f"{ingresses}/plain{DRY}", {"metadata": {"annotations": annotations(0)}})
        assert refusal(on) == "second-canary"
    # A canary of another host that moves to this one.
    moving = at_5.ingress_document(annotations(50), name="moving", host="moving.serinus.test", namespace=elsewhere)
    assert at_5.admin.post(other, moving).ok, "another host has another guard, or none"
    moving["spec"]["rules"][0]["host"] = GUARDED.host
    assert refusal(at_5.admin.patch(f"{other}/moving{DRY}", {"spec": moving["spec"]})) == "second-canary"


def test_no_http_route_comes_to_the_host(place: Place, http_routes: str) -> None:
    def document(name: str, *hosts: str) -> dict[str, Any]:
        kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
        return {**kind, "metadata": {"name": name}, "spec": {"hostnames": hosts}}

    def answer() -> str:
        return refusal(place.admin.post(f"{http_routes}{DRY}", document("new", GUARDED.host)))

    deadline = time.monotonic() + 60
    while not answer():
        assert time.monotonic() < deadline, "the guard does not know of the kind"
        time.sleep(0.1)
    assert answer() == "other-gateway"
    for host in ("*.serinus.test", "*.test"):
        assert refusal(place.admin.post(f"{http_routes}{DRY}", document("new", host))) == "other-gateway"
    # A name that only looks alike, and a kind of host that is another's.
    assert place.admin.post(http_routes, document("other", "other.serinus.test", "*.weight-guard.serinus.test")).ok
    moved = {"spec": {"hostnames": [GUARDED.host]}}
    assert refusal(place.admin.patch(f"{http_routes}/other", moved)) == "other-gateway"
    assert place.rescuer.patch(f"{http_routes}/other", moved).ok
    # What is there may be changed by anybody: it may be a decrease.
    assert place.admin.patch(f"{http_routes}/other", {"metadata": {"labels": {"share": "less"}}}).ok


def test_only_the_declared_canary_can_rise(at_5: Place) -> None:
    changed = at_5.ingress_document(annotations(20), backend="chat-v9")
    answer = at_5.admin.patch(f"{at_5.ingress}{DRY}", changed)
    assert refusal(answer) in ("skipped-rung", "other-backend"), "what v2 has earned is not v9's"
    # Parked, then raised.
    at_5.set_annotations(annotations(0))
    parked = at_5.ingress_document(annotations(0), backend="chat-v9")
    assert at_5.admin.patch(at_5.ingress, parked).ok
    at_5.passing_status(weight=0, verdict="insufficient", bakedSeconds=0, allowedWeight=5)
    answer = at_5.try_annotations(annotations(5))
    assert refusal(answer) == "other-backend"
    assert "v2-0f3a9c21" in answer.message
    assert at_5.admin.patch(at_5.ingress, at_5.ingress_document(annotations(0))).ok
    assert at_5.try_annotations(annotations(5)).ok


def test_whoever_breaks_the_glass_passes_and_others_do_not(at_5: Place) -> None:
    assert at_5.try_annotations(annotations(100), by=at_5.rescuer).ok
    assert not at_5.try_annotations(annotations(100)).ok, "the cluster's admin is none of the group"


# --- the guard's own object -------------------------------------------------------------------------------------------


def test_the_object_of_a_held_or_live_release_stays(at_5: Place) -> None:
    at_5.passing_status(hold=HOLD)
    assert refusal(at_5.admin.delete(f"{at_5.release}{DRY}")) == "held"
    assert refusal(at_5.admin.delete(f"{at_5.releases}{DRY}")) == "held", "nor with all the others at once"
    at_5.passing_status()
    answer = at_5.admin.delete(f"{at_5.release}{DRY}")
    assert refusal(answer) == "live"
    assert "declared 5 %, seen 5 %" in answer.message


def test_the_object_of_a_resting_release_goes_only_with_the_right_to_take_the_guard_away(at_5: Place) -> None:
    apply(*permission(GUARDED.namespace, "keeper", {"kind": "User", "name": "carol"}, "canaryreleases"))
    try:
        assert at_5.admin.patch(at_5.release, {"spec": {"weight": 0}}).ok
        at_5.passing_status(weight=0)
        answer = Api("carol").delete(f"{at_5.release}{DRY}")
        assert refusal(answer) == "guarded"
        assert "serinus:guard" in answer.message
        assert at_5.admin.delete(f"{at_5.release}{DRY}").ok
    finally:
        assert at_5.admin.patch(at_5.release, {"spec": {"weight": 5}}).ok


def test_the_definition_can_not_be_deleted_under_a_guarded_service(place: Place) -> None:
    answer = place.admin.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CRD_NAME}{DRY}")
    assert refusal(answer) == "in-use"
    # Each guarded service's own policy refuses, and the API server tells what one of them says.
    named = re.search(r"(\S+)/(\S+) is guarded by an object of this kind", answer.message)
    assert named
    found = kubernetes.kubectl("get", "validatingadmissionpolicies", "-o", "name").split()
    policies = {name.rpartition("/")[2] for name in found}
    refusing = Guarded(named[2], named[1], "", "")
    assert {policy_name(refusing, "definition"), policy_name(GUARDED, "definition")} <= policies


def test_a_second_rollout_on_the_host_is_refused(place: Place, elsewhere: str) -> None:
    releases = place.releases.replace(f"/{GUARDED.namespace}/", f"/{elsewhere}/")
    document = place.release_document()
    answer = place.admin.post(f"{releases}{DRY}", document)
    assert refusal(answer) == "second-canary"
    assert f"{GUARDED.namespace}/chat" in answer.message
    document["spec"]["host"] = "other.serinus.test"
    assert place.admin.post(f"{releases}{DRY}", document).ok


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"ladder": []}, "1 to 20 rungs"),
    ({"ladder": [{"weight": 20}, {"weight": 5}, {"weight": 100}]}, "these do not: [20, 5, 100]"),
    ({"ladder": [{"weight": 5}, {"weight": 5}, {"weight": 100}]}, "these do not: [5, 5, 100]"),
    ({"ladder": [{"weight": 5}, {"weight": 101}]}, "less than or equal to 100"),
    ({"ladder": [{"weight": 0}, {"weight": 100}]}, "greater than or equal to 1"),
    ({"ladder": [{"weight": 5}, {"weight": 20}]}, "this one ends at 20"),
    ({"ladder": [{"weight": n} for n in range(80, 101)]}, "at most 20 items"),
    ({"ladder": None}, "spec.ladder"),
    ({"weight": 101}, "less than or equal to 100"),
    ({"weight": "5%"}, "must be of type integer"),
    ({"canary": ""}, "there is no canary for this traffic"),
    ({"service": "other"}, "is named like its service"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_a_wrong_spec_is_refused_with_the_reason(place: Place, changes: dict[str, Any], words: str) -> None:
    before = place.admin.get(place.release).document["spec"]
    answer = place.admin.patch(place.release, {"spec": changes})
    assert answer.code == 422
    assert words in answer.message
    assert place.admin.get(place.release).document["spec"] == before


def test_a_status_of_another_service_is_refused(at_5: Place) -> None:
    answer = at_5.admin.patch(f"{at_5.release}/status", {"status": {"service": "other"}})
    assert answer.code == 422
    assert "the status is of another service" in answer.message


def test_the_columns_tell_the_rollout_at_a_glance(at_5: Place) -> None:
    at_5.passing_status(hold=HOLD)
    table = kubernetes.kubectl("-n", GUARDED.namespace, "get", "canaryreleases")
    head, row = (line.split() for line in table.splitlines())
    assert head[-8:] == ["SERVICE", "STABLE", "CANARY", "WEIGHT", "ALLOWED", "VERDICT", "HELD", "AGE"]
    assert row[-8:-2] == ["chat", "v1-5b1de7aa", "v2-0f3a9c21", "5", "20", "pass"]


# --- who may write what -----------------------------------------------------------------------------------------------


def test_the_right_to_the_object_is_no_right_to_its_status(at_5: Place) -> None:
    apply(*permission(GUARDED.namespace, "writer", {"kind": "User", "name": "dave"}, "canaryreleases"))
    dave = Api("dave")
    raised = {"status": {"allowedWeight": 100}}
    answer = dave.patch(f"{at_5.release}/status", raised)
    assert answer.code == 403
    assert "canaryreleases/status" in answer.message
    dropped = dave.patch(at_5.release, raised)
    assert dropped.ok
    assert dropped.document["status"]["allowedWeight"] == 20


def test_the_right_to_the_status_is_no_right_to_the_spec(at_5: Place) -> None:
    apply(*permission(GUARDED.namespace, "observer", {"kind": "User", "name": "erin"}, "canaryreleases/status"))
    erin = Api("erin")
    before = at_5.admin.get(at_5.release).document["spec"]
    written = erin.patch(f"{at_5.release}/status", {"spec": {"weight": 100}, "status": {"allowedWeight": 5}})
    assert written.ok, written.message
    assert (written.document["spec"], written.document["status"]["allowedWeight"]) == (before, 5)
    assert erin.patch(at_5.release, {"spec": {"weight": 0}}).code == 403


# --- the agent's fence ------------------------------------------------------------------------------------------------


@pytest.fixture
def agent(place: Place) -> Api:
    """The agent's account, with more rights than it should have: the fence must hold by itself."""
    subject = {"kind": "User", "name": agency.USER}
    apply(*permission(GUARDED.namespace, "agent", subject, "ingresses"))
    return AGENT


CUT = {share.WEIGHT: "0"}


def test_the_agent_cuts_and_gives_back(at_5: Place, agent: Api) -> None:
    at_5.set_annotations(annotations(5) | buckets(15))
    manager = f"{at_5.ingress}?fieldManager=serinus-agent&force=true"
    head = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}
    cut = {**head, "metadata": {"annotations": CUT | {share.PATTERN: NOBODY}}}
    assert agent.patch(manager, cut, APPLY).ok
    live = agent.get(at_5.ingress).document
    assert share.share(live["metadata"]["annotations"]) == 0
    names = [entry["manager"] for entry in live["metadata"]["managedFields"]]
    at = f"/metadata/managedFields/{names.index('serinus-agent')}"
    give_back: Any = [
        {"op": "test", "path": f"{at}/manager", "value": "serinus-agent"},
        {"op": "remove", "path": at},
    ]
    back = agent.patch(at_5.ingress, give_back, JSON_PATCH)
    assert back.ok, back.message
    assert back.document["metadata"]["annotations"] == live["metadata"]["annotations"]
    assert "serinus-agent" not in [entry["manager"] for entry in back.document["metadata"]["managedFields"]]


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"annotations": {share.WEIGHT: "20"}}},
        {"metadata": {"annotations": {share.WEIGHT: "4", share.COOKIE: "canary"}}},
        {"metadata": {"annotations": {share.WEIGHT: "4", "example.com/note": "x"}}},
        {"metadata": {"annotations": {share.PATTERN: "^0[0-4]$", share.WEIGHT: "0"}}},
        {"metadata": {"annotations": {share.CANARY: "false"}}},
        {"metadata": {"annotations": {share.COOKIE: "canary"}}},
        {"metadata": {"annotations": {"example.com/note": "x"}}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"finalizers": ["serinus.dev/stay"]}},
        {"spec": {"ingressClassName": "other"}},
    ],
)
def test_the_agent_does_nothing_else(at_5: Place, agent: Api, change: dict[str, Any]) -> None:
    # Of two policies that refuse the API server names one.
    assert refusal(agent.patch(f"{at_5.ingress}{DRY}", change)) in ("agent-fence", "skipped-rung")
    assert agent.patch(f"{at_5.ingress}{DRY}", {"metadata": {"annotations": CUT}}).ok


@pytest.mark.parametrize(
    ("there", "change"),
    [
        ({}, {share.WEIGHT: "4"}),
        (buckets(15), {share.WEIGHT: "0", share.PATTERN: buckets(5)[share.PATTERN]}),
    ],
    ids=["weight", "buckets"],
)
def test_the_agent_takes_a_canary_a_step_back(
    at_5: Place, agent: Api, there: dict[str, str], change: dict[str, str]
) -> None:
    at_5.set_annotations(annotations(5) | there)
    back = agent.patch(f"{at_5.ingress}{DRY}", {"metadata": {"annotations": change}})
    assert back.ok, back.message


def test_the_agent_opens_no_door_by_taking_a_pattern_away(at_5: Place, agent: Api) -> None:
    at_5.set_annotations(buckets(5))
    removed = {"metadata": {"annotations": {share.PATTERN: None}}}
    assert refusal(agent.patch(f"{at_5.ingress}{DRY}", removed)) in ("agent-fence", "skipped-rung")


def test_the_agent_neither_makes_nor_deletes_an_ingress(at_5: Place, agent: Api) -> None:
    made = at_5.ingress_document({}, name="made", host="made.serinus.test")
    assert refusal(agent.post(f"{at_5.ingresses}{DRY}", made)) == "agent-fence"
    assert refusal(agent.delete(f"{at_5.ingress}{DRY}")) == "agent-fence"


# --- the command line -------------------------------------------------------------------------------------------------


def test_a_status_that_is_set_by_hand_allows_what_the_rules_allow(at_5: Place) -> None:
    where = ("-n", GUARDED.namespace)
    assert at_5.set_status(None).ok
    assert "status-missing" in serinus("status", *where).stdout
    told = serinus("status", "set", *where, "--verdict", "pass", "--because", "tried by hand", "--baked", "600")
    assert told.returncode == 0, told.stderr
    assert "allowed up to 20 %" in told.stdout
    assert at_5.try_annotations(annotations(20)).ok
    assert refusal(at_5.try_annotations(annotations(50))) == "skipped-rung"
    shown = serinus("status", *where, "--json")
    document = json.loads(shown.stdout)
    assert (shown.returncode, document["next"], document["refused"]) == (0, 20, [])
    assert document["status"]["verdict"] == "pass"

    held = ("--verdict", "pass", "--because", "tried by hand", "--baked", "600", "--hold", "look first", "--by", "ada")
    assert serinus("status", "set", *where, *held).returncode == 0
    assert refusal(at_5.try_annotations(annotations(20))) == "held"
    shown = serinus("status", *where)
    assert shown.returncode == 1
    assert "the release is held: look first (held)" in shown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status", "-n", "nowhere"), "nowhere/chat"),
        (("status", "-n", GUARDED.namespace, "--service", "other"), "weight-guard/other"),
        (
            ("status", "set", "-n", GUARDED.namespace, "--verdict", "pass", "--because", "x", "--weight", "101"),
            "0 to 100",
        ),
        (("status", "set", "-n", GUARDED.namespace, "--verdict", "pass", "--because", "x", "--hold", "y"), "hold.by"),
    ],
)
def test_a_wrong_question_is_answered_with_the_reason(place: Place, words: tuple[str, ...], said: str) -> None:
    answer = serinus(*words)
    assert answer.returncode == 1
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "remedy: " in answer.stderr


def test_the_definition_can_be_installed_again_under_a_guard(place: Place) -> None:
    answer = serinus("install-crd")
    assert answer.returncode == 0, answer.stderr
    assert place.admin.get(place.release).ok
