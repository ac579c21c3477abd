"""What the engine's event log says, and what of it is left out."""

from pathlib import Path

import pytest

from serinus.cli.engine_events import read_preview
from stacks.settings import SettingsError, read_settings
from tests.cli.plans import diagnostic, ingress, log, policy, resource

DENIED = (
    "ingresses.networking.k8s.io \"chat-canary\" is forbidden: ValidatingAdmissionPolicy 'steps' with binding 'steps' "
    "denied request: the weight may not rise from 5 to 50: this skips the rung 20 (skipped-rung). Set the weight to 20."
)
CONFLICT = (
    'the Kubernetes API server reported that "serinus/chat-canary" failed to fully initialize: Apply failed with 1 '
    'conflict: conflict with "serinus-agent" using networking.k8s.io/v1: .metadata.annotations.canary-weight'
)


def test_it_reads_settings_ingresses_and_changes() -> None:
    events = [
        resource(ingress(20), ingress(5)),
        resource(ingress(None, "chat-v1"), ingress(None, "chat-v1")),
        resource({"metadata": {"name": "chat-v3"}}, None, "kubernetes:apps/v1:Deployment"),
    ]
    read = read_preview(log(*events), "serinus")
    assert read.config["service"] == "chat"
    assert sorted(read.wanted) == ["chat-canary", "chat-stable"]
    assert read.wanted["chat-canary"].annotations["nginx.ingress.kubernetes.io/canary-weight"] == "20"
    assert read.checkpoint["chat-canary"].annotations["nginx.ingress.kubernetes.io/canary-weight"] == "5"
    assert read.checkpoint["chat-stable"].backends == ("chat-v1",)
    assert [(one.op, one.kind, one.name) for one in read.changes] == [
        ("update", "Ingress", "chat-canary"),
        ("create", "Deployment", "chat-v3"),
    ]
    assert read.changes[0].paths == ('metadata.annotations["nginx.ingress.kubernetes.io/canary-weight"]',)
    assert read.unchanged == 1


def test_settings_of_other_projects_are_left_out() -> None:
    read = read_preview(log(config={"serinus:service": "chat", "other:password": "shown by mistake"}), "serinus")
    assert read.config == {"service": "chat"}


def test_an_ingress_of_another_service_is_not_ours() -> None:
    foreign = ingress(20)
    foreign["metadata"]["labels"] = {"serinus.dev/service": "search"}
    assert read_preview(log(resource(foreign, None)), "serinus").wanted == {}


def test_a_mandatory_rule_refuses_and_an_advice_does_not() -> None:
    read = read_preview(log(policy("a-rule", "why"), policy("another", "hint", "advisory")), "serinus")
    assert [(one.by, one.rule, one.sentence) for one in read.refusals] == [("policy pack", "a-rule", "why")]


@pytest.mark.parametrize(
    ("message", "rule", "words"),
    [
        (DENIED, "skipped-rung", "Set the weight to 20"),
        ("denied request: not today", "admission", "not today"),
        (CONFLICT, "field-conflict", 'conflict with "serinus-agent"'),
    ],
)
def test_what_the_cluster_refuses_is_a_refusal(message: str, rule: str, words: str) -> None:
    # The engine says it twice: of the resource, and at the end.
    read = read_preview(log(diagnostic(message), diagnostic(message), diagnostic("preview failed")), "serinus")
    (refusal,) = read.refusals
    assert (refusal.by, refusal.rule) == ("cluster", rule)
    assert words in refusal.sentence
    assert read.errors == ()


def test_settings_that_the_program_refuses_are_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as wrong:
        read_settings({"serinus:weight": "101"}, "serinus", tmp_path, {})
    (refusal,) = read_preview(log(diagnostic(str(wrong.value))), "serinus").refusals
    assert (refusal.by, refusal.rule) == ("program", "settings")
    assert "101" in refusal.sentence


def test_other_errors_are_told_and_chatter_is_not() -> None:
    read = read_preview(log(diagnostic("no route to host"), diagnostic("a token: 123", "debug")), "serinus")
    assert read.errors == ("no route to host",)
    assert read.refusals == ()


def test_a_log_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        read_preview(["no JSON"], "serinus")
