"""What goes into an image: the code that runs and the lock, nothing else. Images themselves need a builder to test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import SERVICE_DIR, document


def code() -> set[str]:
    """The modules that run."""
    files = [*SERVICE_DIR.glob("*.py"), *SERVICE_DIR.glob("api/*.py"), *SERVICE_DIR.glob("engines/*.py")]
    return {str(path.relative_to(SERVICE_DIR)) for path in files} - {"weights.py"}


def hashes(requirements: Path) -> set[str]:
    """The hashes that a lock allows."""
    return set(re.findall(r"sha256:[0-9a-f]{64}", requirements.read_text()))


def test_a_bento_holds_the_code_and_the_hashed_lock(tmp_path: Path) -> None:
    release = tmp_path / "release.json"
    release.write_text(json.dumps(document()))
    env = {
        **os.environ,
        "SERINUS_RELEASE_FILE": str(release),
        "BENTOML_HOME": str(tmp_path),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    command = [sys.executable, "-m", "bentoml", "build", "service:ChatService", "--version", "1"]
    build = subprocess.run(command, cwd=SERVICE_DIR, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert build.returncode == 0, build.stdout + build.stderr
    (bento,) = tmp_path.glob("bentos/*/1")
    assert {str(path.relative_to(bento / "src")) for path in bento.glob("src/**/*.py")} == code()
    assert hashes(SERVICE_DIR / "requirements.txt") == hashes(bento / "env/python/requirements.txt") != set()


def test_the_dockerfile_makes_what_the_pod_expects() -> None:
    lines = [line for line in (SERVICE_DIR / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines)
    assert "WORKDIR /opt/serinus/bento_service" in text
    assert "USER 1034:1034" in text
    assert "pip install --no-cache-dir --require-hashes" in text
    assert 'CMD ["python3", "-m", "bentoml", "serve", "service:ChatService", "--port", "3000"]' in text
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert all((SERVICE_DIR / source).exists() for source in copied)
    ignored = (SERVICE_DIR / ".dockerignore").read_text().splitlines()
    assert {"tests", "weights.py", ".*", "__pycache__"} <= set(ignored)
