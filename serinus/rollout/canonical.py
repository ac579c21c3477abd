"""One way to hash a document, so that equal documents have equal digests everywhere."""

import hashlib
import json


def digest(document: object) -> str:
    """Return the sha256, as 64 hex digits, of a JSON document with sorted keys and no spaces.

    Raises ValueError for NaN and infinities: they have no JSON.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
