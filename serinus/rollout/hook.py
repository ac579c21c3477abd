"""What a pipeline is told of a deed, signed so that it can tell us from anybody else."""

import hashlib
import hmac
import json
from typing import NamedTuple

from serinus.rollout.deed import Deed

SIGNATURE = "X-Serinus-Signature"
TIMESTAMP = "X-Serinus-Timestamp"


class Signed(NamedTuple):
    """A JSON body and the headers that prove it."""

    body: bytes
    headers: dict[str, str]


def signed(deed: Deed, secret: bytes, timestamp: int) -> Signed:
    """Return what to post. `timestamp` is the time of sending in seconds: it is signed too, against a replay.

    The signature is `sha256=` and the HMAC-SHA256, in hex, of the timestamp, a dot and the body.
    """
    told = {
        "kind": deed.kind,
        "service": deed.service,
        "release": deed.release,
        "by": deed.by,
        "reason": deed.reason,
        "old": deed.old,
        "new": deed.new,
        "verdict": deed.verdict,
        "at": deed.at.isoformat(),
    }
    body = json.dumps(told, ensure_ascii=False, sort_keys=True).encode()
    mark = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return Signed(body, {"Content-Type": "application/json", TIMESTAMP: str(timestamp), SIGNATURE: f"sha256={mark}"})
