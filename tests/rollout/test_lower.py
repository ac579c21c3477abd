"""A step back is what the stack would have rendered for that step, in every way to split; or it is not said at all."""

from itertools import combinations

import pytest

from serinus.rollout.lower import lower
from serinus.rollout.patterns import PatternError
from serinus.rollout.routing import Split, match
from serinus.rollout.share import CANARY, COOKIE, HEADER, PATTERN, WEIGHT

_BUCKET = {"by": "bucket", "gateway": "gateway:80", "gatewaySources": ["10.0.0.0/8"], "image": "bucketer"}
WAYS = {
    "weight": {"by": "weight"},
    "weight with testers": {"by": "weight", "testerWord": "sesame"},
    "bucket": _BUCKET,
    "bucket of tags with testers": {**_BUCKET, "testerWord": "sesame", "only": {"values": ["VIP", "B1"]}},
    "decimal tail": {"by": "tail"},
    "one decimal digit": {"by": "tail", "digits": 1},
    "hex tail": {"by": "tail", "base": 16},
    "tail of tags": {"by": "tail", "only": {"values": ["VIP"]}},
    "cookie": {"by": "cookie", "cookie": "uid"},
    "hex cookie": {"by": "cookie", "cookie": "uid", "base": 16},
}


def rendered(way: str, weight: int) -> dict[str, str] | None:
    try:
        return match(Split.model_validate(WAYS[way]), weight).annotations()
    except PatternError:
        return None


@pytest.mark.parametrize("way", WAYS)
def test_it_is_what_the_stack_renders(way: str) -> None:
    weights = [weight for weight in (*range(1, 101, 7), 2, 5, 10, 20, 25, 50, 75, 90, 100) if rendered(way, weight)]
    for low, high in combinations(sorted(set(weights)), 2):
        before, after = rendered(way, high), rendered(way, low)
        assert before is not None
        lowered = lower(before, low)
        assert lowered is not None, (low, high)
        assert {**before, **lowered} == after
        assert WEIGHT in lowered


@pytest.mark.parametrize(
    ("annotations", "weight"),
    [
        ({CANARY: "true", WEIGHT: "20"}, 0),
        ({CANARY: "true", WEIGHT: "20"}, 20),
        ({CANARY: "true", WEIGHT: "20"}, 50),
        ({CANARY: "false", WEIGHT: "20"}, 5),
        ({CANARY: "true", WEIGHT: "20", COOKIE: "anybody"}, 5),
        ({CANARY: "true", WEIGHT: "0", HEADER: "X-User-Id", PATTERN: "(0|1)+$"}, 5),
        ({CANARY: "true", WEIGHT: "3", HEADER: "X-User-Bucket", PATTERN: "^0[0-9]$"}, 5),
    ],
    ids=["to zero", "no decrease", "a rise", "no canary", "open to anybody", "not ours", "weight and pattern"],
)
def test_what_can_not_be_said_is_not(annotations: dict[str, str], weight: int) -> None:
    assert lower(annotations, weight) is None
