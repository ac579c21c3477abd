"""Decides on one request: the label that the gateway routes by, or none, which means the stable release.

Whatever is missing, doubled, too long or not what it should be means none. So a doubt never brings anybody to the
canary, and nobody gets an error for it.
"""

import base64
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence

from serinus.bucketer.config import Config
from serinus.rollout.buckets import BUCKETS, TAG, keyed, label
from serinus.rollout.patterns import TESTER
from serinus.rollout.share import TESTER_COOKIE, TESTER_HEADER

_LONGEST_ID = 256
_LONGEST_TAG = 32
_LONGEST_TOKEN = 16 * 1024


class Decider:
    """Turns headers into a label by one configuration. Pure, and the same time for everybody with an id."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._salt = config.salt
        self._word = config.tester_word.encode()
        self._testers = frozenset(config.testers)
        self._authorization = "authorization" if config.claim else ""
        names = (config.conversation, config.header, self._authorization, config.tag_header)
        cookies = ("cookie",) if config.cookie or config.tester_word else ()
        self.wanted = frozenset(
            name.lower().encode() for name in (*names, *cookies, TESTER_HEADER if config.tester_word else "") if name
        )
        """The headers that are looked at, in lower case. An alias with an underscore is another header."""

    def label(self, headers: Mapping[bytes, Sequence[bytes]]) -> str:
        """Return the label, `07` or `07_VIP` or `tester`, empty for none. headers: values by name in lower case."""
        identity = self._identity(headers)
        if self._knows_the_word(headers):
            return TESTER
        if not identity:
            return ""
        hashed = keyed(identity, self._salt)
        if hashed.hex() in self._testers:
            return TESTER
        return label(int.from_bytes(hashed[:8]) % BUCKETS, self._tag(headers))

    def _identity(self, headers: Mapping[bytes, Sequence[bytes]]) -> str:
        """A conversation decides before the user: it must not change sides when somebody else joins it."""
        config = self._config
        for found in (
            _only(headers, config.conversation),
            _only(headers, config.header),
            _claim(_only(headers, self._authorization), config.claim),
            _cookie(headers, config.cookie),
        ):
            if found:
                return found if len(found) <= _LONGEST_ID else ""
        return ""

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
    found = list(_cookies(headers.get(b"cookie", ()), name)) if name else []
    return found[0] if len(found) == 1 else ""


def _cookies(lines: Iterable[bytes], name: str) -> Iterable[str]:
    for line in lines:
        for part in line.split(b";"):
            key, separator, value = part.partition(b"=")
            if separator and key.strip() == name.encode():
                yield _text(value)


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
