"""What the rules are tried with beside Python: Prometheus' own engine."""

from pathlib import Path

import pytest

from local import debian


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Debian's, brought where it is missing; where it can't be had the tests fail with the reason."""
    return debian.monitoring() / "usr/bin/promtool"
