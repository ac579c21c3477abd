"""The guard on a real API server: it answers as Python does, and there is no road around it."""

from collections.abc import Iterator

import pytest

from local.places import Network
from serinus.rollout.admission import Guarded
from tests.cluster.guarded import BREAK_GLASS, Place, expected, guarded_place
from tests.parity_cases import PARITY, Parity

GUARDED = Guarded("chat", "weight-guard", "weight-guard.serinus.test", BREAK_GLASS)


@pytest.fixture(scope="module")
def place(network: Network) -> Iterator[Place]:
    with guarded_place(GUARDED) as made:
        yield made


@pytest.mark.parametrize("case", PARITY, ids=lambda case: case.name)
def test_the_api_server_says_of_each_change(place: Place, case: Parity) -> None:
    assert place.answer(case) == expected(case)
