"""`serinus rollback --converge` brings the stack down under the policies that are its own, or that were named."""

import json

import pytest
from typer.testing import CliRunner

from serinus.cli import rollback
from serinus.cli.main import app
from serinus.cli.promote import command
from serinus.cli.promote.outcome import Exit, Outcome
from serinus.cli.service import Service


@pytest.mark.parametrize(("named", "taken"), [((), "prod"), (("--policies", "lenient"), "lenient")])
def test_converging_takes_the_policies_that_were_named(
    named: tuple[str, ...], taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven: list[tuple[str, str]] = []

    def drive(stack: str, act: object, show: object, policies: str, **_: object) -> Outcome:
        driven.append((stack, policies))
        return Outcome(Exit.DONE, "the committed weight is 0 %")

    monkeypatch.setattr(command, "drive", drive)
    monkeypatch.setattr(rollback, "_say_so", lambda *_: ([], 7))
    monkeypatch.setattr(Service, "ingress", lambda _: {"metadata": {"annotations": {}}})
    monkeypatch.setattr(Service, "cut", lambda *_: True)
    words = ["rollback", "chat", "--reason", "why", "--by", "ada", "--yes", "--json", "--converge", "--stack", "prod"]
    done = CliRunner().invoke(app, [*words, *named], catch_exceptions=False)
    assert (done.exit_code, driven) == (0, [("prod", taken)])
    assert json.loads(done.stdout.splitlines()[0])["entry"] == 7
