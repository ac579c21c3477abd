"""Decides on one request: the label that the gateway routes by, or none, which means the stable release.

Whatever is missing, doubled, too long or not what it should be means none. So a doubt never brings anybody to the
canary, and nobody gets an error for it.
"""

import base64
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from serinus.bucketer.config import Config
from serinus.bucketer.keeping import MOST_NOTES, Keep, carried, cookie_of, kept, notes
from serinus.rollout.buckets import BUCKETS, TAG, keyed, label
from serinus.rollout.patterns import TESTER
from serinus.rollout.share import TESTER_COOKIE, TESTER_HEADER

_LONGEST_ID = 256
_LONGEST_TAG = 32
_LONGEST_TOKEN = 16 * 1024


class Decision(NamedTuple):
    """What is said of a request: label, `07` or `07_VIP` or `tester`, and notes for the releases; empty for none."""

    label: str = ""
    notes: str = ""


class Decider:
    """Turns headers into a decision by one configuration. Pure, and the same time for everybody with an id."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._salt = config.salt
        self._word = config.tester_word.encode()
        self._testers = frozenset(config.testers)
        self._authorization = "authorization" if config.claim else ""
        names = (config.conversation, config.header, self._authorization, config.tag_header)
        cookies = ("cookie",) if config.cookie or config.tester_word or config.keep else ()
        self.wanted = frozenset(
            name.lower().encode() for name in (*names, *cookies, TESTER_HEADER if config.tester_word else "") if name
        )
        """The headers that are looked at, in lower case. An alias with an underscore is another header."""

    def decide(self, headers: Mapping[bytes, Sequence[bytes]], now: float) -> Decision:
        """Decide on one request. headers: values by name in lower case; now: seconds of the wall clock."""
        conversation = _only(headers, self._config.conversation)
        identity = conversation or self._user(headers)
        if self._knows_the_word(headers):
            return Decision(TESTER)
        if not identity or len(identity) > _LONGEST_ID:
            return Decision()
        hashed = keyed(identity, self._salt)
        if hashed.hex() in self._testers:
            return Decision(TESTER)
        drawn = label(int.from_bytes(hashed[:8]) % BUCKETS, self._tag(headers))
        keep = self._config.keep
        return self._kept(keep, conversation, headers, now, drawn) if keep and conversation else Decision(drawn)

    def _kept(
        self, keep: Keep, conversation: str, headers: Mapping[bytes, Sequence[bytes]], now: float, drawn: str
    ) -> Decision:
        """Leave a conversation where it began; one that nothing is known of goes by the bucket that it has drawn."""
        note = _cookie(headers, cookie_of(conversation, self._salt))
        on = kept(keep, self._salt, conversation, note, now)
        many = not note and carried(_cookies(headers)) >= MOST_NOTES
        return Decision(
            drawn if not on else "" if on == keep.stable else keep.label,
            "" if many else notes(keep, self._salt, conversation, now),
        )

    def _user(self, headers: Mapping[bytes, Sequence[bytes]]) -> str:
        """Who asks. A conversation decides before that: it must not change sides when somebody else joins it."""
        config = self._config
        return (
            _only(headers, config.header)
            or _claim(_only(headers, self._authorization), config.claim)
            or _cookie(headers, config.cookie)
        )

    def _knows_the_word(self, headers: Mapping[bytes, Sequence[bytes]]) -> bool:
        if not self._word:
            return False
        said = (_only(headers, TESTER_HEADER), _cookie(headers, TESTER_COOKIE))
        return any(hmac.compare_digest(one.encode(errors="surrogatepass"), self._word) for one in said)

    def _tag(self, headers: Mapping[bytes, Sequence[bytes]]) -> str:
        tag = _only(headers, self._config.tag_header)
        return tag if len(tag) <= _LONGEST_TAG and TAG.fullmatch(tag) else ""


def _only(headers: Mapping[bytes, Sequence[bytes]], name: str) -> str:
    """The value of a header that is there once; of two nobody knows which one a proxy has set."""
    found = headers.get(name.lower().encode(), ()) if name else ()
    return _text(found[0]) if len(found) == 1 else ""


def _text(value: bytes) -> str:
    return value.strip().decode(errors="surrogateescape")


def _cookie(headers: Mapping[bytes, Sequence[bytes]], name: str) -> str:
    found = [value for key, value in _cookies(headers) if key == name.encode()] if name else []
    return found[0] if len(found) == 1 else ""


def _cookies(headers: Mapping[bytes, Sequence[bytes]]) -> Iterator[tuple[bytes, str]]:
    for line in headers.get(b"cookie", ()):
        for part in line.split(b";"):
            key, separator, value = part.partition(b"=")
            if separator:
                yield key.strip(), _text(value)


def _claim(authorization: str, claim: str) -> str:
    """Read a claim of a bearer token. Its signature is not looked at: a proxy before this one has verified it."""
    scheme, _, token = authorization.partition(" ")
    parts = token.strip().split(".")
    if not claim or scheme.lower() != "bearer" or len(parts) != 3 or len(token) > _LONGEST_TOKEN:
        return ""
    try:
        document = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return ""
    found = document.get(claim) if isinstance(document, dict) else None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
