"""What looks like a secret in an annotation or a label, and what does not. All credentials here are made up."""

from typing import Any

import pytest

from policies.rules.no_secrets_in_annotations import RULE
from tests.policies.direct import refusals
from tests.policies.model_pod import DEPLOYMENT, DIGEST, URN, deployment

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"

SECRETS = [
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "postgres://chat:hunter2@db.example.com/chat",
    "see HTTPS://:hunter2@example.com",
    "AKIA" + "A1B2C3D4E5F6G7H8",
    "ghp_" + "a1" * 18,
    "github_pat_" + "a1" * 20,
    "glpat-" + "a1" * 10,
    "xoxb-" + "1234567890-abc",
    "https://hooks.slack.com/services/" + "T000/B000/abc",
    "hf_" + "aB" * 17,
    "sk-proj-" + "aB3" * 10,
    "Bearer " + "abcdefghijklmnop",
    "Authorization: Basic dXNlcjpodW50ZXIyaHVudGVyMg==",
]

HARMLESS = [
    "true",
    "5",
    "a^",
    "",
    DIGEST,
    f"registry.example.com/serving@{DIGEST}",
    "https://example.com:8443/auth?x=1@2",
    "v1-0f3a9c21",
    "sk-learn-model-of-the-week",
    "basic auth is off",
    "2026-11-21T05:55:35Z",
]


def ask(type_: str = CONFIG_MAP, config: dict[str, Any] | None = None, **metadata: Any) -> list[str]:
    return refusals(RULE, type_, {"metadata": {"name": "x"} | metadata}, URN, config)


@pytest.mark.parametrize("kind", ["annotations", "labels"])
@pytest.mark.parametrize("value", SECRETS)
def test_a_secret_is_refused_by_its_key_and_never_repeated(value: str, kind: str) -> None:
    (message,) = ask(**{kind: {"example.com/note": value}})
    assert "'example.com/note'" in message
    assert value not in message
    assert "hunter2" not in message


@pytest.mark.parametrize("value", HARMLESS)
def test_ordinary_values_pass(value: str) -> None:
    assert ask(annotations={"example.com/note": value}) == []


@pytest.mark.parametrize("key", ["db-password", "example.com/API_KEY", "private-key", "slack.token", "passphrase"])
def test_a_key_that_tells_of_a_credential_is_refused_whatever_it_holds(key: str) -> None:
    (message,) = ask(annotations={key: "x"})
    assert "as its key says" in message


@pytest.mark.parametrize("key", ["nginx.ingress.kubernetes.io/auth-secret", "max-tokens", "tokenizer", "key"])
def test_a_key_that_only_names_a_secret_or_means_another_token_passes(key: str) -> None:
    assert ask(annotations={key: "chat-users"}) == []


def test_annotations_of_pods_count_too() -> None:
    props = deployment()
    props["spec"]["template"]["metadata"]["annotations"] = {"note": SECRETS[0]}
    (message,) = refusals(RULE, DEPLOYMENT, props, URN)
    assert "of the pods" in message


def test_a_pods_own_annotation_is_reported_once() -> None:
    assert len(ask(type_="kubernetes:core/v1:Pod", annotations={"note": SECRETS[0]})) == 1


def test_keys_may_be_allowed() -> None:
    assert ask(config={"allowedKeys": ["note"]}, annotations={"note": SECRETS[0]}) == []
    assert ask(config={"allowedKeys": ["note"]}, annotations={"other": SECRETS[0]})


def test_only_kubernetes_objects_are_judged() -> None:
    assert ask(type_="serinus:components:TrafficSplit", annotations={"note": SECRETS[0]}) == []
