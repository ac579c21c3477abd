"""A command loads what it needs and no more: a rollback waits for nothing."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from serinus.cli.main import app

SCRIPT = """
import sys
from typer.testing import CliRunner
from serinus.cli.main import app
assert CliRunner().invoke(app, [{word!r}, "--help"]).exit_code == 0
print(*sorted({{"pulumi", "requests", "prometheus_api_client"}} & set(sys.modules)))
"""


@pytest.mark.parametrize(("word", "loaded"), [("rollback", ""), ("resume", ""), ("status", ""), ("promote", "pulumi")])
def test_only_a_promoter_loads_the_engines_sdk(word: str, loaded: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(word=word)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == (loaded, "")


def test_an_unknown_command_is_told() -> None:
    result = CliRunner().invoke(app, ["rolback"])
    assert result.exit_code == 2
    assert "rollback" in result.output
