"""What a machine may lack, and how the user is told before anything is changed."""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from local import cluster, network, places
from local.errors import LocalError
from local.places import Network


def test_without_root_the_alternative_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LocalError, match="needs root") as raised:
        cluster.up()
    assert "serinus:context" in raised.value.remedy


def test_without_disk_space_the_place_and_the_need_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: SimpleNamespace(free=1 << 30))
    with pytest.raises(
        LocalError, match=rf"{tmp_path}/serinus needs {cluster.BUILD_GIB} GiB free, there are 1.0 GiB"
    ) as raised:
        cluster.up()
    assert "XDG_CACHE_HOME" in raised.value.remedy


def test_addresses_in_use_are_refused_with_another_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        network, "output", lambda *_a, **_k: '[{"dst": "default"}, {"dst": "10.231.4.0/24", "dev": "wg0"}]'
    )
    with pytest.raises(LocalError, match=r"10\.231\.0\.0/16 are in use here: route 10\.231\.4\.0/24 by wg0") as raised:
        network._refuse_overlap(Network("10.231.0.0/16"))
    assert "SERINUS_LOCAL_NETWORK" in raised.value.remedy


def test_a_python_that_is_too_old_is_refused_by_the_installer(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", places.ROOT / "local" / "install.sh", tmp_path / "venv"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "needs Python 3.11" in done.stderr
    assert not (tmp_path / "venv").exists()
