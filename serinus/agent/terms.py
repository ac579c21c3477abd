"""On which terms a service has the agent: who may speak for it, whom to ask and to tell, and how patient to be.

The terms are a Secret in the service's namespace, written by its stack or by anybody there. So they are hostile until
parsed. What can't be used is told and left out: a slip in a setting must not leave a canary without a judge.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NamedTuple

from serinus.rollout import agency
from serinus.rollout.memory import Rules

_SHORTEST_TOKEN = 16
_LONGEST = 2048
_MOST_BYTES = 64 * 1024
# It becomes a part of a path, and the agent may read Secrets elsewhere.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_URL = re.compile(r"https?://[^/\s]\S*", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one service.

    token: what a caller must prove to know; empty lets nobody in. prometheus: a URL, empty for none.
    notices: the name of the Secret that says who is told, empty for nobody.
    """

    token: bytes = field(default=b"", repr=False)
    prometheus: str = ""
    notices: str = ""
    rules: Rules = field(default_factory=Rules)


class Read(NamedTuple):
    """Terms as far as they can be used, and what can't: one line a mistake, without a value that may be secret."""

    terms: Terms
    mistakes: tuple[str, ...]


def read_terms(data: Mapping[str, str], prometheus: str = "", rules: Rules | None = None) -> Read:
    """Read what a Secret says. `prometheus` and `rules` are the cluster's own, for where it says nothing."""
    mistakes: list[str] = []
    rules = rules or Rules()

    def checked(key: str, pattern: re.Pattern[str], allowed: str) -> str:
        value = data.get(key, "")
        if value and (len(value) > _LONGEST or not pattern.fullmatch(value)):
            mistakes.append(f"{key} is not allowed; allowed: {allowed}")
            return ""
        return value

    token = data.get(agency.TOKEN, "").strip().encode()
    if len(token) < _SHORTEST_TOKEN:
        mistakes.append(f"{agency.TOKEN} is missing or too short; allowed: {_SHORTEST_TOKEN} characters or more")
        token = b""

    def patience(key: str, default: timedelta | None) -> timedelta | None:
        seconds = checked(key, _SECONDS, "seconds, 0 for never")
        return default if not seconds else timedelta(seconds=int(seconds)) if int(seconds) else None

    rules = replace(
        rules,
        blind_hold=patience(agency.BLIND_HOLD_SECONDS, rules.blind_hold),
        blind_decay=patience(agency.BLIND_DECAY_SECONDS, rules.blind_decay),
    )
    terms = Terms(
        token=token,
        prometheus=checked(agency.PROMETHEUS, _URL, "a URL with http or https") or prometheus,
        notices=checked(agency.NOTICES_SECRET, _NAME, "the name of a Secret"),
        rules=rules,
    )
    return Read(terms, tuple(mistakes))


def texts(secret: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a Secret as the API server shows it; what is no text, or far too long, is left out."""
    found: dict[str, str] = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            raw = base64.b64decode(str(value), validate=True)
            if len(raw) <= _MOST_BYTES:
                found[str(key)] = raw.decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found
