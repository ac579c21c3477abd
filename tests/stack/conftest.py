"""A kubeconfig for the stack tests. No cluster is ever reached: the settings only look for the context's name."""

from pathlib import Path

import pytest


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "kubeconfig"
    file.write_text("apiVersion: v1\nkind: Config\ncontexts:\n- {name: here, context: {cluster: c, user: u}}\n")
    return file
