"""Keeps a conversation on the release that it began on, by a signed note that its client carries.

No gateway tells afterwards who answered, and this program knows no weight. So each request of a conversation brings one
note per release to whichever release it reaches; that one hands out its own, as a cookie, with its answer. A note holds
for one conversation, one release and a while, and nobody without the salt can write one.
"""

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass

_COOKIE = "serinus-kept-"
# A client that carries notes of many conversations would in the end send more than servers take.
MOST_NOTES = 40
_LONGEST_NOTE = 160


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept: the releases that users can be on (canary is empty where there is none), and how long a
    conversation may rest, in seconds. label is what takes a request to the canary in every share but none.
    """

    stable: str
    canary: str
    label: str
    seconds: int


def cookie_of(conversation: str, salt: str) -> str:
    """Return the name of the cookie that a conversation's note is in; it tells nobody which conversation it is."""
    return _COOKIE + _signed(salt, "cookie", conversation)[:16]


def notes(keep: Keep, salt: str, conversation: str, now: float) -> str:
    """Return JSON: for each release the Set-Cookie header by which it keeps this conversation."""
    until = str(int(now) + keep.seconds)
    name = cookie_of(conversation, salt)
    lasting = f"Path=/; Max-Age={keep.seconds}; HttpOnly; SameSite=Lax"
    return json.dumps(
        {
            release: f"{name}={until}.{release}.{_signed(salt, 'note', conversation, release, until)}; {lasting}"
            for release in (keep.stable, keep.canary)
            if release
        }
    )


def kept(keep: Keep, salt: str, conversation: str, note: str, now: float) -> str:
    """Return the release that a note keeps a conversation on, empty where it keeps it on none that users can be on."""
    until, _, rest = note.partition(".")
    release, _, signature = rest.rpartition(".")
    if len(note) > _LONGEST_NOTE or not release or release not in (keep.stable, keep.canary):
        return ""
    expected = _signed(salt, "note", conversation, release, until)
    if not hmac.compare_digest(signature.encode(errors="surrogatepass"), expected.encode()):
        return ""
    # Only what was signed is a number for certain.
    return release if int(until) > now else ""


def carried(cookies: Iterable[tuple[bytes, str]]) -> int:
    """Count the notes among a request's cookies."""
    return sum(name.startswith(_COOKIE.encode()) for name, _ in cookies)


def _signed(salt: str, *words: str) -> str:
    # No header's value has a zero byte: so no two lists of words are one text, and no text of these is a user's id.
    text = "\0".join(("serinus", *words))
    return hmac.digest(salt.encode(), text.encode(errors="surrogatepass"), "sha256")[:16].hex()
