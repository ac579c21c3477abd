"""What a canary's annotations let in, and the cut that lets nobody in."""

import pytest

from serinus.rollout import share
from serinus.rollout.patterns import NOBODY, bucket_pattern

ON = {share.CANARY: "true"}
BUCKETS = {share.HEADER: "X-Serinus-Bucket", share.PATTERN: bucket_pattern(range(20))}


@pytest.mark.parametrize(
    ("annotations", "cut"),
    [
        (ON, {share.WEIGHT: "0"}),
        (ON | {share.WEIGHT: "20"}, {share.WEIGHT: "0"}),
        (ON | {share.WEIGHT: "20", "example.com/note": "x"}, {share.WEIGHT: "0"}),
        (ON | {share.WEIGHT: "0"} | BUCKETS, {share.WEIGHT: "0", share.PATTERN: NOBODY}),
        # By somebody's hand: a header without a pattern, a header's value, a cookie.
        (ON | {share.HEADER: "X-Me"}, {share.WEIGHT: "0", share.PATTERN: NOBODY}),
        (
            ON | BUCKETS | {share.HEADER_VALUE: "me"},
            {share.WEIGHT: "0", share.PATTERN: NOBODY, share.HEADER_VALUE: ""},
        ),
        (ON | {share.COOKIE: "me"}, {share.WEIGHT: "0", share.COOKIE: ""}),
        (ON | {share.WEIGHT: "0", share.COOKIE: ""}, {share.WEIGHT: "0"}),
    ],
)
def test_a_cut_leaves_no_share_whatever_gave_one(annotations: dict[str, str], cut: dict[str, str]) -> None:
    assert share.cut(annotations) == cut
    assert share.share(annotations | cut) == 0
    assert share.cut(annotations | cut).items() <= cut.items()
