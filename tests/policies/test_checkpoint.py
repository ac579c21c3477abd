"""Reading the checkpoint: what is asked, what is understood, and what is said when it can't be read.

The `pulumi` program is the fake of pack.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policies import checkpoint as reader
from policies.checkpoint import CheckpointError, states
from tests.policies.pack import URN, checkpoint, fake_pulumi, ingress, state


@pytest.fixture(autouse=True)
def fresh_run() -> Iterator[None]:
    """A run reads the checkpoint once; each test is a run of its own."""
    reader._export.cache_clear()
    yield
    reader._export.cache_clear()


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("PULUMI_ORGANIZATION", raising=False)
    return folder


def calls(bin_: Path) -> list[str]:
    return (bin_ / "calls").read_text().splitlines()


def test_a_resource_is_found_by_its_urn(bin_: Path) -> None:
    wanted = state(ingress("5"))
    other = state(ingress("50"), urn=URN.replace("chat-canary", "other-canary"))
    fake_pulumi(bin_, checkpoint(other, wanted))
    assert states(URN) == [wanted]


def test_an_empty_stack_has_no_states(bin_: Path) -> None:
    # What the engine prints for a stack that was never updated.
    fake_pulumi(bin_, {"version": 3, "deployment": {"manifest": {}, "metadata": {}}})
    assert states(URN) == []


def test_a_state_that_waits_for_its_deletion_does_not_count(bin_: Path) -> None:
    wanted = state(ingress("5"))
    fake_pulumi(bin_, checkpoint(wanted, state(ingress("50"), delete=True)))
    assert states(URN) == [wanted]


def test_what_a_killed_update_left_half_done_counts_too(bin_: Path) -> None:
    before, after = state(ingress("50")), state(ingress("5"))
    fake_pulumi(bin_, checkpoint(before, pending=after))
    assert states(URN) == [before, after]


def test_the_stack_is_named_in_full_and_read_once(bin_: Path) -> None:
    fake_pulumi(bin_, checkpoint())
    states(URN)
    states(URN.replace("chat-canary", "other-canary"))
    assert calls(bin_) == ["stack export --non-interactive --stack organization/serinus/test"]


def test_the_organization_comes_from_the_engine_where_there_is_one(bin_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pulumi(bin_, checkpoint())
    monkeypatch.setenv("PULUMI_ORGANIZATION", "acme")
    with pytest.raises(CheckpointError, match="acme/serinus/test"):
        states(URN)


def test_a_failed_read_is_not_tried_again_for_every_resource(bin_: Path) -> None:
    fake_pulumi(bin_, None, error="the backend is away")
    for _ in range(2):
        with pytest.raises(CheckpointError, match="the backend is away"):
            states(URN)
    assert len(calls(bin_)) == 1


def test_a_missing_program_is_named(bin_: Path) -> None:
    with pytest.raises(CheckpointError, match="`pulumi` is not on the PATH"):
        states(URN)


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ({"version": 4, "deployment": {}}, "its version is 4, not 3"),
        ({"deployment": {}}, "KeyError"),
        ({"version": 3}, "KeyError"),
        ([], "TypeError"),
        (None, "TypeError"),
    ],
)
def test_a_document_that_is_not_understood_is_refused(bin_: Path, held: Any, reason: str) -> None:
    fake_pulumi(bin_, held)
    with pytest.raises(CheckpointError, match=f"no checkpoint that is understood.*{reason}"):
        states(URN)


def test_a_program_that_hangs_is_given_up(bin_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pulumi(bin_, checkpoint(), hangs=True)
    monkeypatch.setattr(reader, "_SECONDS", 0.5)
    with pytest.raises(CheckpointError, match=r"took more than 0\.5 s"):
        states(URN)
