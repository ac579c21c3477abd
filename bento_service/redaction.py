"""Takes what identifies people and what opens doors out of a text, as far as patterns can."""

from __future__ import annotations

import re

# Ordered: a key may hold digits that look like a phone number, so keys go first.
_PATTERNS = [
    (
        "KEY",
        re.compile(r"\b(?:sk|pk|ghp|gho|glpat|xox[abp]|AKIA)[-_]?[A-Za-z0-9_-]{12,}\b|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"),
    ),
    ("SECRET", re.compile(r"(?i)\b(?:password|passwd|secret|token|api[_-]?key)\b\s*(?:is|[:=])\s*\S+")),
    ("EMAIL", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")),
    ("IBAN", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")),
    ("IP", re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")),
    ("NUMBER", re.compile(r"(?<![\w.])\+?\d(?:[ \-/()]{0,2}\d){8,18}[Xx]?(?![\w])")),
]


def redact(text: str) -> str:
    """The text with addresses, long numbers (cards, phones), keys and passwords replaced by their kind."""
    for kind, pattern in _PATTERNS:
        text = pattern.sub(f"[{kind}]", text)
    return text
