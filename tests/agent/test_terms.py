"""Terms come from a service's namespace: they are hostile, and no slip in them leaves a canary without a judge."""

from datetime import timedelta

import pytest

from serinus.agent.terms import Terms, read_terms, texts
from serinus.rollout.memory import Rules

PROOF = "sixteen letters or more"


def test_a_secret_says_who_may_speak_whom_to_ask_and_how_patient_to_be() -> None:
    said = {
        "token": f"{PROOF}\n",
        "prometheus": "http://prometheus:9090",
        "blindHoldSeconds": "60",
        "blindDecaySeconds": "600",
        "noticesSecret": "whom-to-tell",
    }
    read = read_terms(said, "http://the-clusters:9090")
    assert read.mistakes == ()
    patient = Rules(blind_hold=timedelta(minutes=1), blind_decay=timedelta(minutes=10))
    assert read.terms == Terms(PROOF.encode(), "http://prometheus:9090", "whom-to-tell", patient)
    assert PROOF not in repr(read)


def test_what_a_secret_does_not_say_is_the_clusters() -> None:
    rules = Rules(orphan=timedelta(seconds=1))
    read = read_terms({"token": PROOF, "prometheus": "", "noticesSecret": ""}, "http://the-clusters:9090", rules)
    assert (read.terms.prometheus, read.terms.rules, read.mistakes) == ("http://the-clusters:9090", rules, ())
    never = read_terms({"token": PROOF, "blindHoldSeconds": "0"}, rules=rules).terms.rules
    assert (never.blind_hold, never.orphan) == (None, rules.orphan)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"token": ""}, "token is missing"),
        ({"token": "brief"}, "token is missing or too short"),
        ({"prometheus": "file:///etc/passwd"}, "prometheus is not allowed"),
        ({"prometheus": "http:// "}, "prometheus is not allowed"),
        ({"blindHoldSeconds": "-1"}, "blindHoldSeconds is not allowed"),
        ({"blindDecaySeconds": "x"}, "blindDecaySeconds is not allowed"),
        ({"blindHoldSeconds": "9" * 400}, "blindHoldSeconds is not allowed"),
        ({"noticesSecret": "../../serinus-system/secrets/other"}, "noticesSecret is not allowed"),
        ({"noticesSecret": "a" * 254}, "noticesSecret is not allowed"),
    ],
)
def test_what_can_not_be_used_is_told_without_its_value_and_left_out(said: dict[str, str], told: str) -> None:
    read = read_terms({"token": PROOF, **said})
    (mistake,) = read.mistakes
    assert told in mistake
    assert not any(value in mistake for value in said.values() if value)
    assert read.terms == Terms(b"" if "token" in said else PROOF.encode())


def test_of_a_secret_only_its_texts_count() -> None:
    data = {"a": "eA==", "b": "not base64", "c": "/w==", "d": "eA==" * 100_000}
    assert texts({"data": data}) == {"a": "x"}
    assert texts({}) == texts({"data": None}) == {}
