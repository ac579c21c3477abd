"""Users, not requests, are split: each user has a bucket, and keeps it.

A bucket comes from a keyed hash of the user's id, so nobody can choose one, and every share takes the lowest buckets of
its lane. So when a share grows, all who were on the canary stay there.
"""

import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple

BUCKETS = 100
TAG = re.compile(r"[A-Za-z0-9-]+")


class Lane(NamedTuple):
    """The buckets that one canary may ever get: `most` of them from `start` on."""

    start: int
    most: int

    def range(self, share: int) -> range:
        """Return the buckets of a share in percent; a greater share of the same lane contains them."""
        if not 0 <= share <= self.most:
            raise ValueError(f"a share of {share} % is not possible in this lane; allowed: 0 to {self.most}")
        return range(self.start, self.start + share)


ALONE = Lane(0, BUCKETS)


def keyed(user: str, salt: str) -> bytes:
    """Return the keyed hash of a user, 32 bytes that tell nobody without the salt who it is."""
    return hmac.digest(salt.encode(), user.encode(errors="surrogatepass"), "sha256")


def bucket_of(user: str, salt: str) -> int:
    """Return the bucket of a user, 0 to 99. Another salt deals the users anew, so that not always the same go first."""
    return int.from_bytes(keyed(user, salt)[:8]) % BUCKETS


def label(bucket: int, tag: str = "") -> str:
    """Write a bucket as the gateway sees it: `67`, or `67_VIP` with a tag as second dimension."""
    if not 0 <= bucket < BUCKETS:
        raise ValueError(f"bucket {bucket} does not exist; allowed: 0 to {BUCKETS - 1}")
    if tag and not TAG.fullmatch(tag):
        raise ValueError(f"the tag {tag!r} can't be used; allowed: letters, digits and '-'")
    return f"{bucket:02d}_{tag}" if tag else f"{bucket:02d}"


def lanes(most: Mapping[str, int]) -> dict[str, Lane]:
    """Give each of several canaries a lane of its own, in the order given.

    `most` is the highest share that each may ever reach, in percent. Lanes are fixed by it, so one canary's growth
    moves no user of another.
    """
    if any(share < 1 for share in most.values()) or sum(most.values()) > BUCKETS:
        raise ValueError(f"the lanes {dict(most)} don't fit; allowed: at least 1 each, at most {BUCKETS} together")
    found, start = {}, 0
    for name, share in most.items():
        found[name] = Lane(start, share)
        start += share
    return found
