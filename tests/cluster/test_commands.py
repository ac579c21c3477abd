"""What people type when a canary must go or may rise, against a real API server: no pod, no agent, no Pulumi runs."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from local import engine, kubernetes
from local.errors import LocalError
from local.places import KUBECONFIG, ROOT
from serinus.cli.main import app
from serinus.rollout import share
from serinus.rollout.admission import Guarded
from serinus.rollout.cut import MANAGER
from serinus.rollout.patterns import NOBODY
from tests.cluster.api import APPLY, Api
from tests.cluster.conftest import Leaving
from tests.cluster.guarded import BREAK_GLASS, Place, apply, guarded_place, refusal, serinus
from tests.parity_cases import annotations, buckets

GUARDED = Guarded("chat", "commands", "commands.serinus.test", BREAK_GLASS)
WHERE = ("-n", GUARDED.namespace)
ADA = ("--by", "ada")
PULUMI = "pulumi-kubernetes"


@pytest.fixture(scope="module")
def place(leaving: Leaving) -> Iterator[Place]:
    with ExitStack() as stack:
        yield stack.enter_context(guarded_place(GUARDED))
        leaving.later(stack.pop_all().close)


@pytest.fixture
def at_20(place: Place) -> Place:
    """The canary at 20 %, as a stack declares it, neither cut nor held, with an empty ledger."""
    place.admin.delete(place.ingress)
    for name in ("ledger", "ledger-old", "evidence"):
        place.admin.delete(f"/api/v1/namespaces/{GUARDED.namespace}/configmaps/chat-{name}")
    born = declare(place, annotations(20), by=place.rescuer)
    assert born.ok, born.message
    place.passing_status(weight=20, bakedSeconds=1800)
    return place


def declare(place: Place, wanted: dict[str, str], by: Api | None = None) -> Any:
    """Apply the canary's Ingress as a stack does: under its own name, without force."""
    document = place.ingress_document(wanted)
    return (by or place.admin).patch(f"{place.ingress}?fieldManager={PULUMI}", document, APPLY)


def run(*words: str, as_: Path | None = None) -> Result:
    """Run a command as `serinus` does, in this process: it is started some thirty times here."""
    environment = {**engine.environment(), "COLUMNS": "200"} | ({"KUBECONFIG": str(as_)} if as_ else {})
    return CliRunner().invoke(app, [*words, *WHERE], env=environment)


def done(*words: str, as_: Path | None = None) -> Any:
    """Run a command that must succeed; return what it says."""
    result = run(*words, "--json", as_=as_)
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    return json.loads(result.stdout)


def said(*words: str, as_: Path | None = None) -> LocalError:
    """Run a command that must fail in words; return them."""
    result = run(*words, as_=as_)
    assert isinstance(result.exception, LocalError), f"{result.output} {result.exception!r}"
    return result.exception


def ingress(place: Place) -> dict[str, Any]:
    return place.admin.get(place.ingress).document


def status(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = place.admin.get(place.release).document["status"]
    return found


def managers(place: Place) -> set[str]:
    return {one["manager"] for one in ingress(place)["metadata"]["managedFields"]}


def test_a_rollback_cuts_and_holds_and_a_resume_gives_everything_back(at_20: Place) -> None:
    told = done("rollback", "chat", "--reason", "users complain", "--yes", *ADA)
    assert (told["old"], told["new"], told["held"], told["entry"], told["failed"]) == (20, 0, True, 1, [])
    assert ingress(at_20)["metadata"]["annotations"][share.WEIGHT] == "0"
    hold = status(at_20)["hold"]
    assert (hold["reason"], hold["by"], status(at_20)["allowedWeight"]) == ("users complain", "ada", 0)

    # The stack's own apply meets the cut's owner, and by force it meets the guard.
    refused = declare(at_20, annotations(20))
    assert refused.code == 409
    assert MANAGER in refused.message
    forced = at_20.admin.patch(
        f"{at_20.ingress}?fieldManager={PULUMI}&force=true", at_20.ingress_document(annotations(5)), APPLY
    )
    assert refusal(forced) == "held"

    assert done("resume", "chat", "--reason", "it was the network", *ADA)["entry"] == 2
    assert "hold" not in status(at_20)
    assert MANAGER not in managers(at_20)
    assert ingress(at_20)["metadata"]["annotations"][share.WEIGHT] == "0"
    # Its fields are the stack's again: what it declares is no conflict any more.
    assert declare(at_20, annotations(0)).ok
    at_20.passing_status(weight=0, allowedWeight=5, bakedSeconds=0)
    risen = declare(at_20, annotations(5))
    assert risen.ok, risen.message


def test_a_rollback_takes_those_whom_a_header_sends_as_well(at_20: Place) -> None:
    at_20.set_annotations(buckets(20))
    assert done("rollback", "chat", "--reason", "users complain", "--yes")["old"] == 20
    now = ingress(at_20)["metadata"]["annotations"]
    assert (now[share.WEIGHT], now[share.PATTERN], now[share.HEADER]) == ("0", NOBODY, "X-User-Bucket")
    done("resume", "chat", "--reason", "fixed")
    assert ingress(at_20)["metadata"]["annotations"] == now


def test_a_rollback_without_a_status_or_while_held_works_as_well(at_20: Place) -> None:
    assert at_20.set_status(None).ok
    assert done("rollback", "chat", "--reason", "first", "--yes", *ADA)["held"]
    assert done("rollback", "chat", "--reason", "second", "--yes")["failed"] == []
    assert (status(at_20)["hold"]["reason"], status(at_20)["hold"]["by"]) == ("first", "ada")


def test_the_program_says_who_did_it_and_what_went_wrong_in_words(at_20: Place) -> None:
    told = serinus("rollback", "chat", "--reason", "users complain", "--yes", *WHERE)
    assert told.returncode == 0, told.stderr
    assert "20 % → 0 % in " in told.stdout
    assert status(at_20)["hold"]["by"] == "serinus-admin"
    refused = serinus("rollback", "search", "--reason", "users complain", "--yes", *WHERE)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: there is no Ingress commands/search-canary")
    assert "remedy: " in refused.stderr


def test_a_resume_that_was_broken_off_is_finished_by_another(at_20: Place) -> None:
    done("rollback", "chat", "--reason", "users complain", "--yes")
    at_20.passing_status(weight=0)
    assert MANAGER in managers(at_20)
    done("resume", "chat", "--reason", "fixed")
    assert MANAGER not in managers(at_20)
    assert "chat is not held" in str(said("resume", "chat", "--reason", "again"))


def test_an_approval_lets_the_release_rise_to_its_rung(at_20: Place) -> None:
    at_20.passing_status(weight=50, allowedWeight=50, bakedSeconds=3600)
    told = done("approve", "chat", "--weight", "100", *ADA)
    assert (told["approved"], told["by"]) == (100, "ada")
    found = status(at_20)
    assert [(one["weight"], one["by"]) for one in found["approvals"]] == [(100, "ada")]
    assert found["allowedWeight"] == 100
    assert "the rise to 50 % needs no approval" in str(said("approve", "chat", "--weight", "50"))


@pytest.fixture(scope="module")
def accounts(place: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The kubeconfigs of an operator, who has the Role of the documentation, and of a guest, who has none."""
    text = (ROOT / "docs" / "operating.md").read_text()
    (documented,) = [block.partition("```")[0] for block in text.split("```yaml\n")[1:] if "kind: Role" in block]
    role = yaml.safe_load(documented)
    where = {"namespace": GUARDED.namespace}
    rbac = "rbac.authorization.k8s.io"
    operator = {"kind": "ServiceAccount", "name": "operator", **where}
    apply(
        *(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": n, **where}}
            for n in ("operator", "guest")
        ),
        role | {"metadata": {"name": role["metadata"]["name"], **where}},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "operator", **where},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": role["metadata"]["name"]},
            "subjects": [operator],
        },
    )
    folder = tmp_path_factory.mktemp("accounts")
    found = {}
    for name in ("operator", "guest"):
        config = yaml.safe_load(KUBECONFIG.read_text())
        token = kubernetes.kubectl("-n", GUARDED.namespace, "create", "token", name).strip()
        for user in config["users"]:
            user["user"] = {"token": token}
        found[name] = folder / name
        found[name].write_text(yaml.safe_dump(config))
    return found


def test_the_documented_role_is_enough_to_roll_back_and_to_resume(at_20: Place, accounts: dict[str, Path]) -> None:
    for name in ("chat-ledger", "chat-ledger-old", "chat-evidence"):
        apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": GUARDED.namespace}})
    operator = accounts["operator"]
    told = done("rollback", "chat", "--reason", "users complain", "--yes", as_=operator)
    assert (told["held"], told["failed"]) == (True, [])
    assert status(at_20)["hold"]["by"] == f"system:serviceaccount:{GUARDED.namespace}:operator"
    done("resume", "chat", "--reason", "fixed", as_=operator)
    done("approve", "chat", "--weight", "100", as_=operator)
    assert done("ledger", "verify", "chat", as_=operator)["entries"] == 3
    # The right to patch is no right to raise.
    raising = ["patch", "ingress", "chat-canary", "-p", json.dumps({"metadata": {"annotations": {share.WEIGHT: "50"}}})]
    with pytest.raises(LocalError, match="skipped-rung"):
        kubernetes.kubectl("-n", GUARDED.namespace, *raising, f"--kubeconfig={operator}")


def test_who_may_not_is_told_whom_to_ask(at_20: Place, accounts: dict[str, Path]) -> None:
    error = said("rollback", "chat", "--reason", "users complain", "--yes", as_=accounts["guest"])
    assert "cannot get resource" in str(error)
    assert "docs/operating.md" in error.remedy


def test_a_write_of_the_agents_in_between_is_not_overwritten(at_20: Place) -> None:
    stale = at_20.admin.get(at_20.release).document
    done("rollback", "chat", "--reason", "users complain", "--yes")
    # The agent decided on what it read before the rollback. Its write must not take the hold away.
    late = at_20.admin.put(f"{at_20.release}/status", stale | {"status": stale["status"] | {"because": "all well"}})
    assert late.code == 409
    assert status(at_20)["hold"]["reason"] == "users complain"


def test_the_ledger_shows_what_was_done_and_every_edit(at_20: Place) -> None:
    done("rollback", "chat", "--reason", "users [complain]", "--yes", *ADA)
    done("resume", "chat", "--reason", "fixed", *ADA)
    entries = done("ledger", "show", "chat")
    assert [(one["deed"]["what"], one["deed"]["who"]) for one in entries] == [("cut", "ada"), ("resumed", "ada")]
    assert "users [complain]" in run("ledger", "show", "chat").stdout
    whole = done("ledger", "verify", "chat")
    assert (whole["entries"], whole["breaks"]) == (2, [])
    assert done("ledger", "verify", "chat", "--known", entries[0]["digest"])["breaks"] == []

    book = f"/api/v1/namespaces/{GUARDED.namespace}/configmaps/chat-ledger"
    data = at_20.admin.get(book).document["data"]
    for harm in ({"00000001": None}, {"00000001": data["00000001"].replace("ada", "eve")}):
        assert at_20.admin.patch(book, {"data": harm}).ok
        result = run("ledger", "verify", "chat")
        assert result.exit_code == 1
        assert "broken" in result.stdout
        assert at_20.admin.patch(book, {"data": data}).ok
    assert at_20.admin.patch(book, {"data": {"00000002": None}}).ok
    assert run("ledger", "verify", "chat").exit_code == 0
    assert run("ledger", "verify", "chat", "--known", entries[1]["digest"]).exit_code == 1


def test_the_status_shows_the_hold_and_what_keeps_the_release_back(at_20: Place) -> None:
    at_20.passing_status()
    free = run("status", "chat")
    assert free.exit_code == 0, free.output
    assert "9500" in free.stdout
    assert "allowed" in free.stdout
    done("rollback", "chat", "--reason", "users complain", "--yes", *ADA)
    held = run("status", "chat")
    assert held.exit_code == 1
    assert "users complain (by ada" in held.stdout
    assert "(held)" in held.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("rollback", "search", "--reason", "x", "--yes"),
            "there is no Ingress commands/search-canary",
        ),
        (("rollback", "chat", "--reason", " ", "--yes"), "--reason is empty"),
        (("rollback", "chat", "--reason", "x"), "nobody can be asked here"),
        (("resume", "search", "--reason", "x"), "there is no Ingress commands/search-canary"),
        (("resume", "chat", "--reason", "x"), "chat is not held"),
        (("approve", "search", "--weight", "50"), "there is no CanaryRelease commands/search"),
        (("approve", "chat", "--weight", "30"), "the rise to 30 % needs no approval"),
        (("status", "search"), "there is no CanaryRelease commands/search"),
        (("ledger", "verify", "search"), "there is no ledger of commands/search"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_what_can_not_be_done_is_told_with_a_remedy(at_20: Place, words: tuple[str, ...], told: str) -> None:
    error = said(*words)
    assert told in str(error)
    assert error.remedy
    assert ingress(at_20)["metadata"]["annotations"][share.WEIGHT] == "20"
