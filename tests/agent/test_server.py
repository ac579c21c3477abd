"""The agent's door lets in who has the token, takes what it understands, and answers when that stands."""

from collections.abc import Iterator
from typing import Any

import pytest

from serinus.agent.server import LARGEST_BODY
from serinus.rollout.demand import Action
from tests.agent.doors import OTHER, TOKEN, Door, Service, open_door
from tests.rollout.test_alertmanager import alert

ROLLBACK = {"service": "chat", "reason": "users complain"}


@pytest.fixture
def door() -> Iterator[Door]:
    with open_door() as opened:
        yield opened


def payload(*alerts: dict[str, Any]) -> dict[str, Any]:
    return {"version": "4", "status": "firing", "alerts": list(alerts)}


def test_a_firing_alert_is_taken_once_however_often_it_is_sent(door: Door) -> None:
    first = door.post("/v1/alerts", payload(alert()))
    assert (first.code, first.document["taken"]) == (202, 1)
    for _ in range(99):
        again = door.post("/v1/alerts", payload(alert()))
        assert (again.code, again.document["taken"], again.document["known"]) == (202, 0, 1)
    (demand,) = door.taken
    assert (demand.service, demand.action) == ("chat", Action.ROLLBACK)


def test_an_alert_that_is_resolved_before_it_fires_still_counts(door: Door) -> None:
    assert door.post("/v1/alerts", payload(alert(status="resolved"))).document["resolved"] == 1
    assert door.post("/v1/alerts", payload(alert())).document["taken"] == 1
    assert door.post("/v1/alerts", payload(alert(status="resolved"))).code == 202
    assert len(door.taken) == 1


def test_a_thousand_different_alerts_come_through_in_any_order(door: Door) -> None:
    marks = [f"{number * 7919 % 1000:016x}" for number in range(1000)]
    alerts = [alert(fingerprint=mark, status="resolved" if mark.endswith("7") else "firing") for mark in marks]
    answer = door.post("/v1/alerts", payload(*alerts))
    firing = {one["fingerprint"] for one in alerts if one["status"] == "firing"}
    assert (answer.code, answer.document["taken"], answer.document["resolved"]) == (
        202,
        len(firing),
        1000 - len(firing),
    )
    assert {one.fingerprint.partition("@")[0] for one in door.taken} == firing


def test_an_alert_that_could_not_be_taken_is_taken_when_it_is_sent_again(door: Door) -> None:
    door.busy = True
    refused = door.post("/v1/alerts", payload(alert()))
    assert (refused.code, refused.headers["Retry-After"]) == (503, "1")
    door.busy = False
    assert door.post("/v1/alerts", payload(alert())).document["taken"] == 1


@pytest.mark.parametrize(("path", "body"), [("/v1/alerts", payload(alert())), ("/v1/rollback", ROLLBACK | {"id": "7"})])
def test_what_does_not_stand_in_the_cluster_is_asked_for_again_until_it_does(
    door: Door, path: str, body: dict[str, Any]
) -> None:
    door.stands = False
    for _ in range(2):  # the second time it is known already, and stands no more than before
        answer = door.post(path, body)
        assert (answer.code, answer.headers["Retry-After"]) == (503, "1")
        assert "not written down" in answer.document["errors"][0]
    door.stands = True
    answer = door.post(path, body)
    assert (answer.code, answer.document["taken"], answer.document["known"]) == (202, 0, 1)
    assert len(door.taken) == 1


def test_an_alert_about_another_service_is_left_to_its_agent(door: Door) -> None:
    answer = door.post("/v1/alerts", payload(alert(labels={"serinus_service": "search"})))
    assert (answer.code, answer.document["foreign"], door.taken) == (202, 1, [])


def test_a_broken_alert_is_told_and_takes_no_other_along(door: Door) -> None:
    answer = door.post("/v1/alerts", payload({"status": "firing"}, alert()))
    assert (answer.code, answer.document["taken"]) == (202, 1)
    assert answer.document["mistakes"][0].startswith("alerts.0.labels: missing")


def test_a_person_rolls_back_as_often_as_they_ask(door: Door) -> None:
    for _ in range(2):
        assert door.post("/v1/rollback", ROLLBACK | {"by": "ada"}).code == 202
    assert [(one.action, one.reason, one.by) for one in door.taken] == [(Action.ROLLBACK, "users complain", "ada")] * 2


def test_a_rollback_with_an_id_counts_once(door: Door) -> None:
    for known in (0, 1):
        assert door.post("/v1/rollback", ROLLBACK | {"id": "pipeline-7"}).document["known"] == known
    assert len(door.taken) == 1


def test_a_token_speaks_for_its_own_service_alone(door: Door) -> None:
    refused = door.post("/v1/rollback", ROLLBACK, Authorization=f"Bearer {OTHER}")
    assert (refused.code, refused.document["errors"]) == (404, ["service: this token speaks for search only"])
    foreign = door.post("/v1/alerts", payload(alert()), Authorization=f"Bearer {OTHER}")
    assert (foreign.code, foreign.document["taken"], foreign.document["foreign"]) == (202, 0, 1)
    assert door.taken == []
    assert door.post("/v1/rollback", ROLLBACK | {"service": "search"}, Authorization=f"bearer {OTHER}").code == 202


def test_a_token_of_several_services_speaks_for_each_of_them(door: Door) -> None:
    assert door.tokens is not None
    door.tokens[TOKEN.encode()] += [Service("search", door), Service("chat", door)]
    assert door.post("/v1/rollback", ROLLBACK | {"id": "pipeline-7"}).document["taken"] == 1
    assert door.post("/v1/rollback", ROLLBACK | {"service": "search"}).code == 202
    assert [one.service for one in door.taken] == ["chat", "chat", "search"]


def test_while_a_services_token_may_still_become_known_it_is_asked_again(door: Door) -> None:
    door.tokens = None
    answer = door.post("/v1/rollback", ROLLBACK)
    assert (answer.code, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", "Basic correct-horse", "correct-horse", "Bearer ünïcode"]
)
def test_a_wrong_token_is_refused_before_the_body_is_read(door: Door, given: str) -> None:
    answer = door.post("/v1/rollback", b"not even JSON", Authorization=given.encode().decode("latin-1"))
    assert (answer.code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert door.taken == []


@pytest.mark.parametrize(
    ("path", "body", "headers", "code", "told"),
    [
        ("/v1/rollback", b"{", {}, 400, "no JSON"),
        ("/v1/rollback", b"\xff\xfe", {}, 400, "no JSON"),
        ("/v1/rollback", b"[" * 100_000, {}, 400, "no JSON"),
        ("/v1/rollback", {"service": "chat"}, {}, 422, "reason: missing"),
        ("/v1/rollback", {"service": "chat", "reason": " "}, {}, 422, "reason"),
        ("/v1/rollback", [], {}, 422, ""),
        ("/v1/rollback", {"service": "search", "reason": "why"}, {}, 404, "for chat only"),
        ("/v1/alerts", {"version": "3", "alerts": []}, {}, 422, "version: '3' is not allowed"),
        ("/v1/rollback", ROLLBACK, {"Content_Type": "text/plain"}, 415, "application/json"),
        ("/v1/rollback", ROLLBACK, {"Content_Encoding": "identity"}, 415, "Content-Encoding"),
        ("/v2/rollback", ROLLBACK, {}, 404, "Not Found"),
    ],
)
def test_what_is_not_understood_is_refused_in_json(
    door: Door, path: str, body: object, headers: dict[str, str], code: int, told: str
) -> None:
    answer = door.post(path, body, **headers)
    assert answer.code == code
    assert told in answer.document["errors"][0]
    assert door.taken == []


def test_a_body_beyond_the_limit_is_refused(door: Door) -> None:
    answer = door.post("/v1/alerts", b" " * (LARGEST_BODY + 1))
    assert answer.code == 413
    assert answer.document["errors"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/alerts"), ("DELETE", "/v1/rollback"), ("POST", "/healthz")])
def test_another_method_is_told_the_right_one(door: Door, method: str, path: str) -> None:
    answer = door.ask(method, path)
    assert (answer.code, answer.document) == (405, {"errors": ["Method Not Allowed"]})
    assert answer.headers["Allow"]


def test_probes_and_metrics_need_no_token(door: Door) -> None:
    assert [door.ask("GET", path).code for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")] == [200] * 4
    assert door.ask("GET", "/metrics").document == b"up 1\n"
    door.well = False
    assert [door.ask("GET", path).code for path in ("/healthz", "/readyz", "/metrics")] == [503, 503, 200]
