"""Addresses and cache keys: pure, and everything else of the local platform stands on them."""

from pathlib import Path

import pytest

from local.errors import LocalError
from local.places import Network, content_key


def test_the_parts_of_the_network_do_not_overlap() -> None:
    net = Network("10.231.0.0/16")
    parts = [net.pods, net.services, net.link]
    assert all(part.subnet_of(net.block) for part in parts)
    assert not any(a.overlaps(b) for a in parts for b in parts if a is not b)
    assert net.gateway == f"http://{net.node}"


@pytest.mark.parametrize("block", ["10.231.0.0/24", "8.8.0.0/16", "ten", "10.231.1.0/16"])
def test_a_network_that_is_no_private_16_is_refused_by_name(block: str) -> None:
    with pytest.raises(LocalError, match=f"SERINUS_LOCAL_NETWORK={block}"):
        Network(block)


def test_a_key_changes_with_content_and_name_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "module"
    folder.mkdir()
    file = folder / "go.mod"
    file.write_text("one")
    before = content_key([folder])
    file.touch()
    assert content_key([folder]) == before
    file.write_text("two")
    changed = content_key([folder])
    assert changed != before
    file.rename(folder / "go.sum")
    assert content_key([folder]) not in {before, changed}
    assert content_key([folder], "flag") != content_key([folder])
