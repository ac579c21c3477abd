"""Log lines as evidence: what went wrong and when, without what anybody said.

A log may hold prompts, answers and ids, and evidence is read by many. So nothing is taken out of a line: only what is
known to be harmless is kept of it.
"""

import json
import re
from collections.abc import Iterable

_KEPT = (
    "timestamp", "time", "level", "type", "path", "release", "model_version", "outcome", "error", "status", "code",
    "finish_reason", "output_tokens", "duration", "ttft",
)  # fmt: skip
_A_WORD = re.compile(r"[A-Za-z0-9_.:/@+-]{1,80}")
_AN_ERROR = re.compile(r"(?:[A-Za-z_]+\.)*[A-Z][A-Za-z]*(?:Error|Exception|Exit|Interrupt)(?=[:\s(]|$)")


def redacted(lines: Iterable[str]) -> list[str]:
    """Return each line as what may be shown of it.

    Of a JSON line these are numbers and single words under known keys, of any other the name of an exception.
    """
    return [_redacted(line) for line in lines if line.strip()]


def _redacted(line: str) -> str:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        kept = {key: found[key] for key in _KEPT if _harmless(found.get(key))}
        return json.dumps(kept)
    error = _AN_ERROR.match(line.strip())
    name = f"{error.group()}, " if error and len(error.group()) <= 80 else ""
    return f"({name}{len(line)} characters)"


def _harmless(value: object) -> bool:
    if isinstance(value, str):
        return _A_WORD.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)
