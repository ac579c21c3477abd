"""What tests of several commands share."""

import shutil
from pathlib import Path

import pytest

from tests.stack.mocked_engine import ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, which is the present one, without a stack."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    shutil.copytree(ROOT / "releases", tmp_path / "releases")
    monkeypatch.chdir(tmp_path)
    return tmp_path
